"""The account of the rest: links on both sides, Stripe's events, the queue, and what Slack would not like."""

from sandbox.world import World
from tests.soak.faults import WAKE_WAITING
from tests.soak.postgres import Store

# What Slack shows somebody whose request reached nobody, because the process was gone or its database was.
UNANSWERED = ("operation_timeout", "dispatch_failed")
LEFT = """
    select id, queue_name, task_name, status, attempts, scheduled_at, args,
        (select error from job_failures f where f.job_id = j.id order by f.id desc limit 1) as error
    from procrastinate_jobs j where queueing_lock is null order by id
"""
UNDER_WAY = """
    select id, task_name, status, attempts from procrastinate_jobs
    where queueing_lock is null and status in ('todo', 'doing')
"""


class UpkeepAccount:
    """Checks links, events, jobs and complaints."""

    def __init__(self, world: World, store: Store) -> None:
        self._world, self._store = world, store

    async def check(self) -> list[str]:
        """Return everything that is not as it has to be."""
        problems = [*await self._check_links(), *await self._check_events()]
        problems += [f"a job is left: {job}" for job in await self._store.rows(LEFT)]
        problems += [
            f"Slack would complain: {each}"
            for each in self._world.slack.problems
            if not any(words in each for words in UNANSWERED)
        ]
        return problems

    async def under_way(self) -> frozenset[str]:
        """Return the jobs that wait or are under way; those that wait for their time are told that it has come."""
        await self._store.run(WAKE_WAITING)
        rows = await self._store.rows(UNDER_WAY)
        return frozenset(f"{row['task_name']} {row['id']} {row['status']} {row['attempts']}" for row in rows)

    async def _check_links(self) -> list[str]:
        """Each link is open at Stripe if and only if it is with us, over the same amount and of the same order."""
        rows = await self._store.rows("""
            select l.stripe_payment_link_id as id, l.status = 'active' as is_open, l.amount_cents, l.order_id
            from payment_links l where l.stripe_payment_link_id is not null
            union all
            select stripe_payment_link_id, false, amount_cents, order_id from retired_links
        """)
        ours, problems = {row["id"]: row for row in rows}, []
        for link in self._world.stripe.payment_links.values():
            if "order_id" not in link["metadata"]:
                continue  # another program's
            # One whose minting was broken off may be paid before it is found: then it is closed, and never known.
            row = ours.pop(link["id"], None)
            is_open = row is not None and row["is_open"]
            if link["active"] != is_open:
                problems.append(f"link {link['id']} is open at Stripe: {link['active']}; here: {row}")
            elif row and is_open and _named(self._world, link["id"]) != (row["order_id"], row["amount_cents"]):
                problems.append(f"link {link['id']} is of another order or amount at Stripe; here: {row}")
        return problems + [f"Stripe knows no such link: {row}" for row in ours.values()]

    async def _check_events(self) -> list[str]:
        bad = await self._store.rows(
            "select id, type, outcome, error, processed_at from stripe_events "
            "where processed_at is null or outcome is null or outcome = 'failed'"
        )
        return [f"an event was not applied: {row}" for row in bad]


def _named(world: World, link_id: str) -> tuple[int, int]:
    """Return the order that a link names at Stripe, and what it asks for in cents."""
    order_id = world.stripe.payment_links[link_id]["metadata"].get("order_id", 0)
    return int(order_id), sum(item["amount_total"] for item in world.stripe.books.line_items[link_id])

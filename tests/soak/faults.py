"""What breaks: processes, the database, Slack, Stripe, the mail server, and the clock."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Literal, get_args

from sandbox.mailbox import MailFault
from sandbox.slack import Fault as SlackFault
from sandbox.stripe import Fault as StripeFault
from sandbox.world import World
from tests.soak.postgres import Server, Store
from tests.soak.processes import Fleet
from tests.soak.tally import Tally

SlackKind = Literal["ratelimited", "server_error", "garbage", "drop", "delay"]
StripeKind = Literal["rate_limit", "server_error", "garbage", "drop", "delay"]
MailKind = Literal["tempfail", "permfail", "drop_before", "drop_after", "delay"]
# Longer than the product waits for an answer of Slack's (15 s).
VERY_LATE_SECONDS = 17.0
# How long a mail server's no is; whoever reads it in `refused` knows it for ours.
WORDS = "the suite says no"

Strike = Callable[[random.Random], Awaitable[None]]

CUT = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and application_name <> 'soak' and random() < %(share)s
"""
# As if an hour had passed without a sign of life; the row's own trigger tells the workers of the job.
AGE_WORKERS = "update procrastinate_workers set last_heartbeat = now() - interval '1 hour'"
REFRESH_WORKERS = "update procrastinate_workers set last_heartbeat = now()"
RESCUE = """
    insert into procrastinate_jobs (queue_name, task_name, queueing_lock, args)
    values ('upkeep', 'rescue_stalled', 'rescue_stalled', '{"timestamp": 0}')
    on conflict do nothing
"""
WAKE_WAITING = "update procrastinate_jobs set scheduled_at = now() where status = 'todo' and scheduled_at > now()"


class Faults:
    """Strikes by name. Each is given the chance that decides its details."""

    def __init__(self, world: World, fleet: Fleet, server: Server, store: Store, tally: Tally) -> None:
        self._world, self._fleet, self._server, self._store = world, fleet, server, store
        self._struck, self._found = tally.faults, tally.found
        # What was handed to the stand-ins, and how many calls it is for: it counts once it has struck.
        self._handed: list[tuple[str, SlackFault | StripeFault | MailFault, int]] = []
        self.strikes: dict[str, Strike] = {
            "kill": self.kill,
            "terminate": self.terminate,
            "freeze": self.freeze,
            "cut connections": self.cut_connections,
            "restart PostgreSQL": self.restart_postgres,
            "jump clock": self.jump_clock,
            "Slack": self.slack,
            "Stripe": self.stripe,
            "mail": self.mail,
        }

    def clear(self) -> float:
        """Back to good weather; returns how many seconds a stand-in may still be busy with a late answer."""
        self._world.slack.faults.clear()
        self._world.stripe.faults.clear()
        self._world.mailbox.faults.clear()
        late = 0.0
        for name, fault, times in self._handed:
            spoiled = times - max(fault.times, 0)
            self._struck[name] += min(spoiled, 1)
            self._found["calls that a stand-in spoiled"] += spoiled
            if fault.kind == "delay" and fault.times <= 0:
                late = max(late, fault.seconds)
        self._handed.clear()
        return late

    async def kill(self, rng: random.Random) -> None:
        """Kill -9 a process, at whatever it was doing, and start it again."""
        await self._end(rng, signal.SIGKILL, "kill -9")

    async def terminate(self, rng: random.Random) -> None:
        """Tell a process to stop, and start it again."""
        await self._end(rng, signal.SIGTERM, "SIGTERM")

    async def _end(self, rng: random.Random, number: signal.Signals, name: str) -> None:
        member = rng.choice(self._fleet.running)
        self._struck[f"{name} of {'web' if member.port else 'worker'}"] += 1
        await member.restart(number, pause=rng.random())

    async def freeze(self, rng: random.Random) -> None:
        """Stop a worker's clock until everybody thinks it dead; its jobs go to others, and then it goes on."""
        member = rng.choice([each for each in self._fleet.running if each.port is None])
        self._struck["worker frozen"] += 1
        member.freeze()
        try:
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            await self._store.run(AGE_WORKERS)
            await self._store.run(RESCUE)
            await asyncio.sleep(rng.uniform(0.5, 2.0))
        finally:
            member.thaw()
            await self._store.run(REFRESH_WORKERS)

    async def cut_connections(self, rng: random.Random) -> None:
        """Cut some or all of the connections to the database."""
        cut = await self._store.value(CUT, share=rng.choice((0.3, 0.6, 1.0)))
        self._struck["database connections cut"] += min(int(cut), 1)
        self._found["database connections that were cut"] += int(cut)

    async def restart_postgres(self, rng: random.Random) -> None:
        """Restart the database, orderly or as after a crash."""
        is_crash = rng.random() < 0.5
        self._struck[f"PostgreSQL {'crashed' if is_crash else 'restarted'}"] += 1
        await self._server.restart(is_crash=is_crash)

    async def jump_clock(self, rng: random.Random) -> None:
        """Let an hour pass at once: what waited is due, and every worker looks dead to the others."""
        self._struck["clock jumped an hour"] += 1
        await self._store.run(WAKE_WAITING)
        if rng.random() < 0.7:
            await self._store.run(AGE_WORKERS)
            await self._store.run(RESCUE)
            await asyncio.sleep(0.3)
            await self._store.run(REFRESH_WORKERS)

    async def slack(self, rng: random.Random) -> None:
        """Slack has a bad moment: it says come back later, fails, talks nonsense, hangs up or takes its time."""
        kind: SlackKind = rng.choice(get_args(SlackKind))
        seconds = self._delay(rng) if kind == "delay" else 1.0
        executes = kind in ("server_error", "garbage", "drop") and rng.random() < 0.5
        times = 1 if seconds > VERY_LATE_SECONDS / 2 else rng.randint(1, 3)
        fault = SlackFault(kind, times=times, seconds=seconds, executes=executes)
        self._hand(f"Slack: {kind}{', but done' if executes else ''}", fault)
        self._world.slack.faults.add(fault)

    async def stripe(self, rng: random.Random) -> None:
        """Stripe has one."""
        kind: StripeKind = rng.choice(get_args(StripeKind))
        seconds = rng.uniform(0.1, 2.0) if kind == "delay" else 1.0
        executes = kind in ("server_error", "garbage", "drop") and rng.random() < 0.5
        fault = StripeFault(kind, times=rng.randint(1, 4), seconds=seconds, executes=executes)
        self._hand(f"Stripe: {kind}{', but done' if executes else ''}", fault)
        self._world.stripe.faults.add(fault)

    async def mail(self, rng: random.Random) -> None:
        """The mail server has one, for the next few mails."""
        kind: MailKind = rng.choice(get_args(MailKind))
        times = rng.randint(5, 30) if kind == "delay" else rng.randint(1, 4)
        fault = MailFault(kind, times=times, seconds=rng.uniform(0.05, 0.6), words=WORDS)
        self._hand(f"mail: {kind}", fault)
        self._world.mailbox.faults.append(fault)

    def _hand(self, name: str, fault: SlackFault | StripeFault | MailFault) -> None:
        self._handed.append((name, fault, fault.times))

    @staticmethod
    def _delay(rng: random.Random) -> float:
        return VERY_LATE_SECONDS if rng.random() < 0.06 else rng.uniform(0.1, 2.0)

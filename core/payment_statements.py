"""The statements of the door for payments, written out: they run for every webhook.

Composed anew for each event they would cost more than PostgreSQL takes to run them.
"""

from sqlalchemy import text

from core.models.statuses import AttemptStatus

# Stripe's words (https://docs.stripe.com/api/disputes/object): over, and the club keeps the money.
HARMLESS_DISPUTES = ("won", "warning_closed", "prevented")

_RANK = " ".join(f"when '{status}' then {rank}" for rank, status in enumerate(AttemptStatus))
_HARMLESS = ", ".join(f"'{status}'" for status in HARMLESS_DISPUTES)

_ORDER = """
    o.id, o.tenant_id, o.player_id, o.parent_id, o.product_id, o.amount_cents, o.currency, o.status,
    (select category from products p where p.id = o.product_id) as category
"""

LOCK_ORDER = text(f"select {_ORDER} from orders o where o.id = :order_id for update of o")

# The row lock is taken after the join, so always after the lock on the intent.
LOCK_NAMED_ORDER = text(f"""
    with intent as materialized (select pg_advisory_xact_lock(hashtextextended(:payment_key, 0))),
    named as materialized (
        select {_ORDER} from intent, orders o
        where o.id = cast(:order_id as bigint) and o.tenant_id = coalesce(cast(:tenant_id as bigint), o.tenant_id)
        for update of o
    )
    select named.* from intent left join named on true
""")

# What is final stays, whatever is told later.
_ATTEMPT = f"""
    insert into checkout_attempts as known (stripe_checkout_session_id, order_id, stripe_payment_intent_id, status)
    select cast(:session_id as text), cast(:order_id as bigint), cast(:payment_intent_id as text), {{status}}
    where cast(:session_id as text) is not null
    on conflict (stripe_checkout_session_id) do update
        set status = excluded.status, stripe_payment_intent_id = excluded.stripe_payment_intent_id
    where case known.status {_RANK} end < case excluded.status {_RANK} end
"""

RECORD_ATTEMPT = text(_ATTEMPT.format(status="cast(:status as text)"))

RECORD_PAYMENT = text(f"""
    with attempt as ({_ATTEMPT.format(status="'succeeded'")}),
    payment as (
        insert into payments (
            order_id, amount_cents, method, stripe_payment_intent_id, recorded_by, created_at,
            reference, request_key
        )
        values (
            cast(:order_id as bigint), cast(:amount_cents as bigint), cast(:method as text),
            cast(:payment_intent_id as text), :recorded_by, :at, :reference, :request_key
        )
        on conflict do nothing returning id
    ),
    given_back as (
        insert into payments
            (order_id, amount_cents, method, stripe_payment_intent_id, stripe_refund_id, created_at)
        select
            cast(:order_id as bigint), -amount_cents, cast(:method as text),
            stripe_payment_intent_id, id, created_at
        from stripe_refunds
        where stripe_payment_intent_id = cast(:payment_intent_id as text) and status = 'succeeded'
        on conflict do nothing
    ),
    waited as (
        update stripe_events set outcome = 'applied'
        where outcome = 'unmatched' and id in (
            select unnest(waiting_event_ids) from stripe_refunds
            where stripe_payment_intent_id = cast(:payment_intent_id as text)
            union all
            select unnest(waiting_event_ids) from stripe_disputes
            where stripe_payment_intent_id = cast(:payment_intent_id as text)
        )
    )
    select id from payment
""")

# The ids are the first payment's, whatever the order in which payments are heard of. What a person recorded and
# undid again counts as nothing: money that never came in was not given back either.
FACTS = text(f"""
    with ledger as (
        select id, amount_cents, created_at, stripe_payment_intent_id,
            stripe_refund_id is null and amount_cents > 0 as is_income
        from payments p
        where order_id = :order_id and voids_payment_id is null
            and not exists (select from payments v where v.voids_payment_id = p.id)
    ),
    first as (
        select stripe_payment_intent_id from ledger where is_income order by created_at, id limit 1
    )
    select
        cast(coalesce(sum(amount_cents) filter (where is_income), 0) as bigint) as received,
        cast(coalesce(-sum(amount_cents) filter (where not is_income), 0) as bigint) as returned,
        max(created_at) filter (where is_income) as last_received_at,
        (select stripe_payment_intent_id from first) as payment_intent_id,
        (
            select stripe_checkout_session_id from checkout_attempts
            where order_id = :order_id and stripe_payment_intent_id = (select stripe_payment_intent_id from first)
            limit 1
        ) as session_id,
        exists (
            select from checkout_attempts where order_id = :order_id and status = 'processing'
        ) as is_processing,
        exists (
            select from stripe_disputes d
            where d.status not in ({_HARMLESS})
                and d.stripe_payment_intent_id in (select stripe_payment_intent_id from ledger where is_income)
        ) as is_disputed
    from ledger
""")

STORE_STATUS = text("""
    with changed as (
        update orders set
            status = cast(:after as text),
            paid_at = :paid_at,
            stripe_payment_intent_id = coalesce(cast(:payment_intent_id as text), stripe_payment_intent_id),
            stripe_checkout_session_id = coalesce(cast(:session_id as text), stripe_checkout_session_id)
        where id = cast(:order_id as bigint)
    )
    insert into order_history (order_id, from_status, to_status, reason)
    select cast(:order_id as bigint), cast(:before as text), cast(:after as text), :reason
    where cast(:before as text) <> cast(:after as text)
""")

# A lost dispute's entry carries its id where a refund's carries the refund's: each is entered once.
SETTLE_DISPUTES = text("""
    insert into payments
        (order_id, amount_cents, method, stripe_payment_intent_id, stripe_refund_id, created_at)
    select p.order_id, -d.amount_cents, p.method, p.stripe_payment_intent_id, d.id, now()
    from stripe_disputes d
    join payments p on p.stripe_payment_intent_id = d.stripe_payment_intent_id and p.stripe_refund_id is null
    where d.stripe_payment_intent_id = :payment_intent_id and d.status = 'lost' and d.amount_cents > 0
    on conflict do nothing
""")

CHANGE_AMOUNT = text("update orders set amount_cents = :amount_cents where id = :order_id")

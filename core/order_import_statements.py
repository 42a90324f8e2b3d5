"""The statements of an import of orders. Each takes everything of a file at once."""

from sqlalchemy import ARRAY, BigInteger, Text, bindparam, text

PLAYERS = text("""
    select p.id as player_id, p.first_name || ' ' || p.last_name as name, g.id as payer_id,
        lower(coalesce(g.email, '')) as email, g.id <> p.parent_id as is_second
    from players p
    join parents g on g.id in (p.parent_id, p.second_parent_id)
    where p.tenant_id = :tenant_id
""")

ORDERS = text("""
    select o.id, o.player_id, o.parent_id, o.product_id, o.amount_cents, o.status,
        coalesce(p.category, 'generic') as category, p.period,
        coalesce(nullif(o.description, ''), p.name, 'Fee') as item
    from orders o left join products p on p.id = o.product_id
    where o.tenant_id = :tenant_id and o.player_id = any(:players)
""").bindparams(bindparam("players", type_=ARRAY(BigInteger())))

# Whose order each of these ids is, wherever it is known from; no order where a link has none.
STRIPE_IDS = text("""
    select stripe_payment_link_id as stripe_id, order_id from payment_links
    where stripe_payment_link_id = any(:ids)
    union select stripe_payment_link_id, order_id from retired_links where stripe_payment_link_id = any(:ids)
    union select stripe_checkout_session_id, order_id from checkout_attempts
    where stripe_checkout_session_id = any(:ids)
    union select stripe_payment_intent_id, order_id from checkout_attempts
    where stripe_payment_intent_id = any(:ids)
    union select stripe_payment_intent_id, order_id from payments where stripe_payment_intent_id = any(:ids)
    union select stripe_checkout_session_id, id from orders where stripe_checkout_session_id = any(:ids)
    union select stripe_payment_intent_id, id from orders where stripe_payment_intent_id = any(:ids)
""").bindparams(bindparam("ids", type_=ARRAY(Text())))

PRODUCTS = text("""
    select id, category, name, price_cents, period, share_of from products where tenant_id = :tenant_id order by id
""")
ADD_PRODUCTS = text("""
    insert into products (tenant_id, category, name, price_cents, period, currency, share_of)
    select :tenant_id, category, name, price_cents, period, :currency, share_of
    from jsonb_to_recordset(cast(:rows as jsonb)) as r(
        category text, name text, price_cents bigint, period text, share_of bigint
    )
    on conflict do nothing
""")

NEW_IDS = text("""
    select nextval(pg_get_serial_sequence('orders', 'id')) from generate_series(1, cast(:count as bigint))
""")

# The rows of one file: the order, what its status was stored for, its payment, and its link.
_ROWS = """
    jsonb_to_recordset(cast(:rows as jsonb)) as r(
        id bigint, player_id bigint, parent_id bigint, product_id bigint, item text, amount_cents bigint,
        status text, due_date date, paid_at timestamptz, method text, link_id text, link_url text,
        link_status text, session_id text, intent_id text
    )
"""
ADD_ORDERS = text(f"""
    insert into orders (
        id, tenant_id, player_id, parent_id, product_id, description, amount_cents, currency, status, due_date,
        paid_at, stripe_checkout_session_id, stripe_payment_intent_id
    )
    select id, :tenant_id, player_id, parent_id, product_id, item, amount_cents, :currency, status, due_date,
        paid_at, session_id, intent_id
    from {_ROWS}
""")
ADD_HISTORY = text(f"""
    insert into order_history (order_id, from_status, to_status, reason)
    select id, 'pending', status, 'imported' from {_ROWS} where status <> 'pending'
""")
ADD_PAYMENTS = text(f"""
    insert into payments (order_id, amount_cents, method, stripe_payment_intent_id, recorded_by, created_at)
    select id, amount_cents, method, intent_id, 'import', paid_at from {_ROWS} where status = 'paid'
""")
ADD_ATTEMPTS = text(f"""
    insert into checkout_attempts (stripe_checkout_session_id, order_id, stripe_payment_intent_id, status)
    select session_id, id, intent_id, 'succeeded' from {_ROWS} where status = 'paid' and session_id is not null
""")
ADD_LINKS = text(f"""
    insert into payment_links (
        tenant_id, player_id, parent_id, product_id, order_id, description, amount_cents,
        stripe_payment_link_id, stripe_payment_link_url, status, paid_at
    )
    select :tenant_id, player_id, parent_id, product_id, id, item, amount_cents,
        link_id, link_url, link_status, paid_at
    from {_ROWS} where link_id is not null and link_status is not null
""")
# The place of the one link of a player and product is the next order's; payments through this one still arrive.
ADD_RETIRED_LINKS = text(f"""
    insert into retired_links (stripe_payment_link_id, tenant_id, order_id, amount_cents, reason)
    select link_id, :tenant_id, id, amount_cents, 'imported as canceled'
    from {_ROWS} where link_id is not null and link_status is null
""")

"""The statements of a roster import. Each takes all rows of a file at once, as arrays."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Date, Text, TextClause, bindparam, text
from sqlalchemy.types import TypeEngine

COLUMNS: dict[str, TypeEngine[Any]] = {
    "line": BigInteger(),
    "first_name": Text(),
    "last_name": Text(),
    "team": Text(),
    "email": Text(),
    "previous_email": Text(),
    "parent_first_name": Text(),
    "parent_last_name": Text(),
    "phone": Text(),
    "monthly_fee_cents": BigInteger(),
    "contract_status": Text(),
    "contract_date": Date(),
    "second_email": Text(),
    "second_first_name": Text(),
    "second_last_name": Text(),
    "second_share": BigInteger(),
}
_ARRAYS = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMNS.items())
_ROSTER = f"with roster as (select * from unnest({_ARRAYS}) as rows ({', '.join(COLUMNS)}))"


def _statement(sql: str) -> TextClause:
    arrays = (bindparam(name, type_=ARRAY[Any](kind)) for name, kind in COLUMNS.items())
    return text(f"{_ROSTER} {sql}").bindparams(*arrays)


# Two imports at once would meet each other's families and teams in a different order and lock each other out.
ONE_IMPORT_AT_A_TIME = text("select pg_advisory_xact_lock(hashtextextended('sideline roster', :tenant_id))")

# An address that another family has already stays that family's.
MOVE_FAMILIES = _statement(
    """
    update parents set email = roster.email
    from roster
    where parents.tenant_id = :tenant_id and lower(parents.email) = lower(roster.previous_email)
        and not exists (
            select from parents as others
            where others.tenant_id = :tenant_id and lower(others.email) = lower(roster.email)
        )
    returning parents.id
    """
)

# Children who are on the roster under an address that the file does not give for them.
FIND_LOOKALIKES = _statement(
    """
    , known as (
        select lower(players.first_name) as first_name, lower(players.last_name) as last_name,
               lower(parents.email) as family, parents.email, lower(teams.name) as team
        from players
        join parents on parents.id = players.parent_id
        left join teams on teams.id = players.team_id
        where players.tenant_id = :tenant_id
    ), named as (
        select line, first_name as typed_first_name, last_name as typed_last_name, lower(team) as team,
               lower(first_name) as first_name, lower(last_name) as last_name, lower(email) as family
        from roster
    )
    select named.line, min(typed_first_name) as first_name, min(typed_last_name) as last_name,
           min(known.email) as email, bool_or(coalesce(named.team = known.team, true)) as same_team
    from named
    join known on known.first_name = named.first_name and known.last_name = named.last_name
        and known.family is distinct from named.family
    where (named.first_name, named.last_name, named.family) not in (
            select first_name, last_name, family from known where family is not null
        )
        and not exists (
            select from named as others
            where others.first_name = known.first_name and others.last_name = known.last_name
                and others.family = known.family
        )
    group by named.line
    """
)

ADD_TEAMS = _statement(
    """
    insert into teams (tenant_id, name)
    select distinct on (lower(team)) :tenant_id, team from roster where team is not null order by lower(team), line
    on conflict do nothing
    returning id
    """
)

# Brothers and sisters: the first line that has a name or a number for their parent counts.
_FAMILIES = """
    , families as (
        select lower(email) as family,
               (array_agg(email order by line))[1] as email,
               (array_agg(parent_first_name order by line) filter (where parent_first_name is not null))[1]
                   as first_name,
               (array_agg(parent_last_name order by line) filter (where parent_last_name is not null))[1]
                   as last_name,
               (array_agg(phone order by line) filter (where phone is not null))[1] as phone
        from roster group by lower(email)
    )
"""

ADD_PARENTS = _statement(
    _FAMILIES
    + """
    insert into parents (tenant_id, email, first_name, last_name, phone)
    select :tenant_id, email, coalesce(first_name, ''), coalesce(last_name, ''), phone
    from families order by family
    on conflict do nothing
    returning id
    """
)

UPDATE_PARENTS = _statement(
    _FAMILIES
    + """
    update parents set
        first_name = coalesce(families.first_name, parents.first_name),
        last_name = coalesce(families.last_name, parents.last_name),
        phone = coalesce(families.phone, parents.phone)
    from families
    where parents.tenant_id = :tenant_id and lower(parents.email) = families.family
        and (families.first_name <> parents.first_name or families.last_name <> parents.last_name
             or (families.phone is not null and families.phone is distinct from parents.phone))
    returning parents.id
    """
)

# What a guardian's own row has for their name counts more than what a child's row has for its second guardian.
ADD_SECOND_PARENTS = _statement(
    """
    , seconds as (
        select lower(second_email) as guardian,
               (array_agg(second_email order by line))[1] as email,
               (array_agg(second_first_name order by line) filter (where second_first_name is not null))[1]
                   as first_name,
               (array_agg(second_last_name order by line) filter (where second_last_name is not null))[1]
                   as last_name
        from roster where second_email is not null group by lower(second_email)
    ), named as (
        update parents set
            first_name = coalesce(seconds.first_name, ''), last_name = coalesce(seconds.last_name, '')
        from seconds
        where parents.tenant_id = :tenant_id and lower(parents.email) = seconds.guardian
            and parents.first_name = '' and parents.last_name = ''
            and (seconds.first_name is not null or seconds.last_name is not null)
    )
    insert into parents (tenant_id, email, first_name, last_name)
    select :tenant_id, email, coalesce(first_name, ''), coalesce(last_name, '')
    from seconds order by guardian
    on conflict do nothing
    returning id
    """
)

# A second guardian who still owes something of their own is not replaced.
_PLACED = """
    , placed as (
        select roster.line, parents.id as parent_id, teams.id as team_id, roster.first_name, roster.last_name,
               roster.monthly_fee_cents, roster.contract_status, roster.contract_date, roster.second_share,
               case when owing.is_kept then present.second_parent_id
                   else coalesce(second.id, present.second_parent_id) end as second_parent_id,
               owing.is_kept
        from roster
        join parents on parents.tenant_id = :tenant_id and lower(parents.email) = lower(roster.email)
        left join teams on teams.tenant_id = :tenant_id and lower(teams.name) = lower(roster.team)
        left join players as present on present.tenant_id = :tenant_id and present.parent_id = parents.id
            and lower(present.first_name) = lower(roster.first_name)
            and lower(present.last_name) = lower(roster.last_name)
        left join parents as second
            on second.tenant_id = :tenant_id and lower(second.email) = lower(roster.second_email)
        cross join lateral (
            select second.id <> present.second_parent_id and exists (
                select from orders
                where orders.player_id = present.id and orders.parent_id = present.second_parent_id
                    and orders.status in ('pending', 'processing')
            ) as is_kept
        ) as owing
    )
"""

# Rows whose second guardian was left as it is, and shares that nobody is there to pay.
FIND_LEFT_GUARDIANS = _statement(
    _PLACED
    + """
    select line, first_name || ' ' || last_name as name, coalesce(is_kept, false) as is_kept
    from placed
    where is_kept or (second_share > 0 and second_parent_id is null)
    """
)

# A share of nothing takes it away, and the second guardian gets copies.
_SHARE = """case when placed.second_parent_id is not null
        then nullif(coalesce(placed.second_share, {present}), 0) end"""
_NOW = """
    placed.first_name, placed.last_name, coalesce(placed.team_id, players.team_id),
    -- A fee that somebody set by hand, with a reason, is not the roster's to change.
    case when players.fee_note <> '' then players.monthly_fee_cents
        else coalesce(placed.monthly_fee_cents, players.monthly_fee_cents) end,
    coalesce(placed.contract_status, players.contract_status),
    coalesce(placed.contract_date, players.contract_date),
    placed.second_parent_id, """ + _SHARE.format(present="players.second_share_percent")
_KEPT = """
    first_name, last_name, team_id, monthly_fee_cents, contract_status, contract_date,
    second_parent_id, second_share_percent
"""

UPDATE_PLAYERS = _statement(
    _PLACED
    + f"""
    update players set ({_KEPT}) = row({_NOW})
    from placed
    where players.tenant_id = :tenant_id and players.parent_id = placed.parent_id
        and lower(players.first_name) = lower(placed.first_name)
        and lower(players.last_name) = lower(placed.last_name)
        and ({", ".join(f"players.{name.strip()}" for name in _KEPT.split(","))}) is distinct from ({_NOW})
    returning players.id
    """
)

ADD_PLAYERS = _statement(
    _PLACED
    + f"""
    insert into players (tenant_id, parent_id, {_KEPT})
    select :tenant_id, parent_id, first_name, last_name, team_id, monthly_fee_cents,
           coalesce(contract_status, 'none'), contract_date, second_parent_id, {_SHARE.format(present="null")}
    from placed order by line
    on conflict do nothing
    returning id
    """
)

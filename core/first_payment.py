"""The first monthly payment: decided anew on every click, so that its address stays right whatever changes.

Who makes the order here holds the club's billing lock, like monthly billing: neither bills what the other did.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import AudienceQuery, Skipped
from core.charging import NewOrder, lock_billing, make_orders
from core.clock import Clock, local_date
from core.club import Club, club_by_id
from core.database import Database
from core.errors import InvalidInputError, NotFoundError, NotPayableError
from core.first_month import FirstMonth, load_first_month, load_first_months
from core.models import Player
from core.monthly_fees import make_tiers, monthly_order
from core.payment_links import Obstacle, PaymentLinks
from core.payments import cancel_order, lock_order
from core.proration import month_charge
from core.tokens import FirstPaymentToken

REPLACED = "replaced: the first month's amount changed"
NO_MONTHLY_FEE = "no monthly fee set; add it in the roster"
TAKEN_OFF = "the first month was taken off the list"
_UNKNOWN = "We don't know this link."
# Each time something else changed meanwhile; more than this is no coincidence.
_TRIES = 4


class FirstPayments:
    """Finds, makes and replaces the orders of first months."""

    def __init__(self, database: Database, links: PaymentLinks, clock: Clock) -> None:
        self._database = database
        self._links = links
        self._clock = clock

    async def payable_url(self, token: FirstPaymentToken, *, prorate: bool, patience: float = 60.0) -> str:
        """Return the address at Stripe where this guardian can pay the first month right now.

        An order over another amount than is right now is canceled, its link closed and a new one made. `prorate`
        charges by days from the contract's date, where the token allows it.

        Raises:
            NotFoundError: no such player in this club, or the guardian has no part in the fees any more.
            NotPayableError: it can't be paid; `reason` holds an `Obstacle`.
            StripeUnavailableError, StripeRefusedError
        """
        for tries_left in reversed(range(_TRIES)):
            async with self._database.transaction() as conn:
                order_id = await self._current_order(conn, token, prorate=prorate and token.may_prorate)
            if order_id is None:
                raise _not_payable(Obstacle.CANCELED)
            try:
                return await self._links.payable_url(token.tenant_id, order_id, patience=patience)
            except NotPayableError as error:
                # Somebody else's click replaced the order at this very moment.
                if error.reason != Obstacle.CANCELED or not tries_left:
                    raise
        raise AssertionError("the loop returns or raises")  # pragma: no cover

    async def check_payable(self, token: FirstPaymentToken) -> None:
        """Look at the first month like `payable_url`, without making or replacing anything.

        Raises:
            NotFoundError: no such player in this club, or the guardian has no part in the fees any more.
            NotPayableError: it can't be paid; `reason` holds an `Obstacle`.
        """
        async with self._database.transaction() as conn:
            club = await club_by_id(conn, token.tenant_id)
            state = await self._load(conn, club, token.player_id)
            settled = _settled_order(state, _payer(state, token.payer_id))
            if settled is None and not state.orders and (state.was_taken_off or not state.player.fee_cents):
                raise _not_payable(Obstacle.CANCELED)
        if settled is not None:
            await self._links.check_payable(token.tenant_id, settled)

    async def prepare(self, conn: AsyncConnection, club: Club, query: AudienceQuery) -> Sequence[Skipped]:
        """Bill every signed player's first month where that is missing or over another amount than is right now.

        A fixed number of statements a month and, beside it, a few for each order that has to be replaced.
        """
        await lock_billing(conn, club.id)
        today = local_date(self._clock(), club.time_zone)
        skipped, wanted = list[Skipped](), list[FirstMonth]()
        for state in await load_first_months(conn, club.id, today, team_id=query.team_id, email=query.email):
            reason = _why_not_billed(state)
            if reason is not None:
                skipped.append(Skipped(state.parent_id, state.parent_name, reason, state.player.name))
            elif not _fits(state, prorate=not query.skip_proration) and await self._cancel(conn, club, state):
                wanted.append(state)
        await self._make(conn, club, wanted, prorate=not query.skip_proration)
        return skipped

    async def _current_order(
        self, conn: AsyncConnection, token: FirstPaymentToken, *, prorate: bool
    ) -> int | None:
        """Return the order to pay now, made or replaced where need be; None where nothing is to be paid."""
        club = await _club(conn, token.tenant_id)
        # Two clicks at once come one after the other.
        await conn.execute(
            select(Player.id)
            .where(Player.id == token.player_id, Player.tenant_id == club.id)
            .with_for_update(key_share=True)
        )
        state = await self._load(conn, club, token.player_id)
        if not _is_decided(state, prorate=prorate):
            await lock_billing(conn, club.id)
            # Monthly billing may have been here meanwhile.
            state = await self._load(conn, club, token.player_id)
            if not _is_decided(state, prorate=prorate) and await self._cancel(conn, club, state):
                await self._make(conn, club, [state], prorate=prorate)
            state = await self._load(conn, club, token.player_id)
        payer_id = _payer(state, token.payer_id)
        own = [order.id for order in state.orders if order.payer_id == payer_id]
        return _settled_order(state, payer_id) or next(iter(own), None)

    async def _load(self, conn: AsyncConnection, club: Club, player_id: int) -> FirstMonth:
        today = local_date(self._clock(), club.time_zone)
        state = await load_first_month(conn, club.id, player_id, today)
        if state is None:
            raise NotFoundError(_UNKNOWN)
        if not state.is_signed:
            raise _not_payable(Obstacle.CONTRACT)
        return state

    async def _cancel(self, conn: AsyncConnection, club: Club, state: FirstMonth) -> bool:
        """Cancel what was billed for the month and close its links; False where money came in meanwhile."""
        if not state.orders:
            return True
        try:
            # Two guardians' parts are replaced together or stay together.
            async with conn.begin_nested():
                for billed in state.orders:
                    order = await lock_order(conn, billed.id)
                    if order is not None:
                        await cancel_order(conn, order, REPLACED)
                        await self._links.retire(conn, club.id, order.id, "replaced")
        except InvalidInputError:
            return False
        return True

    async def _make(
        self, conn: AsyncConnection, club: Club, states: Sequence[FirstMonth], *, prorate: bool
    ) -> None:
        today = local_date(self._clock(), club.time_zone)
        months: dict[str, list[tuple[FirstMonth, int]]] = {}
        for state in states:
            if state.player.fee_cents:
                months.setdefault(state.period, []).append((state, state.player.fee_cents))
        wanted: list[NewOrder] = []
        for period, of_month in months.items():
            tiers = await make_tiers(conn, club, period, {fee for _, fee in of_month})
            for state, fee in of_month:
                order = monthly_order(club, state.player, state.month, tiers[fee], prorate=prorate)
                wanted.append(replace(order, due_date=max(state.due_date, today)))
        await make_orders(conn, club.id, wanted)


def _is_decided(state: FirstMonth, *, prorate: bool) -> bool:
    """Whether nothing has to be made or replaced: it fits, money came in, or there is nothing to charge."""
    return _why_not_billed(state) is not None or not state.is_replaceable or _fits(state, prorate=prorate)


def _why_not_billed(state: FirstMonth) -> str | None:
    if state.settled:
        return None
    if state.player.fee_cents is None and not state.orders:
        return NO_MONTHLY_FEE
    return TAKEN_OFF if state.was_taken_off else None


def _fits(state: FirstMonth, *, prorate: bool) -> bool:
    """Whether what was billed is what the month costs now, and each guardian's part is theirs."""
    if not state.is_replaceable or state.player.fee_cents is None:
        return True
    charge = month_charge(state.player.fee_cents, state.month, state.player.contract_date if prorate else None)
    return state.billed() == state.parts(charge.amount_cents)


def _payer(state: FirstMonth, payer_id: int) -> int:
    """Return whose part the token is about; where the fees are not split there is one payer.

    Raises:
        NotFoundError: where they are split and the token's guardian is neither of the two.
    """
    if state.second_share_percent is None:
        return state.parent_id
    if payer_id not in {state.parent_id, state.second_parent_id}:
        raise NotFoundError(_UNKNOWN)
    return payer_id


def _settled_order(state: FirstMonth, payer_id: int) -> int | None:
    """Return the order that shows that this payer's first payment is made or under way."""
    if payer_id in state.settled:
        return state.settled[payer_id]
    if any(order.payer_id == payer_id for order in state.orders):
        return None
    return next(iter(state.settled.values()), None)


def _not_payable(obstacle: Obstacle) -> NotPayableError:
    return NotPayableError(f"The first payment is not open: {obstacle}.", obstacle)


async def _club(conn: AsyncConnection, tenant_id: int) -> Club:
    try:
        return await club_by_id(conn, tenant_id)
    except NotFoundError:
        raise NotFoundError(_UNKNOWN) from None

"""Receipts: a mail for each payment that came in, to who paid and to the guardian who gets copies.

The payment's transaction enqueues one job, whatever the club's settings; the job writes down whom the receipt goes
to, once a payment and person, and each mail then goes the way of every single mail (`core.outbox`). Waivers are no
money and refunds are told by Stripe: neither has a receipt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock, local_date
from core.club import Club, club_by_id
from core.database import Database
from core.email_log import NewAttempt, add_attempt
from core.family_mail import brand_of
from core.jobs import JobQueue
from core.mail import Mailer
from core.models.statuses import EmailStatus, EmailType, PaymentMethod
from core.rendering import MailItem, ReceiptMail, subject_of
from core.tokens import FamilyLinks

METHOD_WORDS: Mapping[PaymentMethod, str] = {
    PaymentMethod.CARD: "card",
    PaymentMethod.BANK: "bank payment",
    PaymentMethod.CASH: "cash",
    PaymentMethod.CHECK: "check",
    PaymentMethod.WAIVER: "waived by the club",
}


@dataclass(frozen=True, slots=True)
class _Receipt:
    """A payment with one reader of its receipt. Amounts in cents, `paid_at` in UTC."""

    tenant_id: int
    order_id: int
    amount_cents: int
    method: str
    reference: str | None
    paid_at: datetime
    description: str
    player_name: str
    left_cents: int
    is_owed: bool
    parent_id: int
    first_name: str
    last_name: str
    email: str
    payer_name: str
    is_copy: bool


# One statement for both of its uses: all readers of a payment's receipt, or one of them when the mail goes out.
_RECEIPTS = text("""
    select o.tenant_id, o.id as order_id, y.amount_cents, y.method, y.reference, y.created_at as paid_at,
        coalesce(nullif(o.description, ''), product.name, 'Fee') as description,
        btrim(p.first_name || ' ' || p.last_name) as player_name,
        cast(o.amount_cents - (select sum(amount_cents) from payments where order_id = o.id) as bigint)
            as left_cents,
        o.status in ('pending', 'processing') as is_owed,
        reader.id as parent_id, reader.first_name, reader.last_name, reader.email,
        btrim(payer.first_name || ' ' || payer.last_name) as payer_name, reader.id <> o.parent_id as is_copy
    from payments y
    join orders o on o.id = y.order_id
    join players p on p.id = o.player_id
    join tenants t on t.id = o.tenant_id and t.sends_receipts
    join parents payer on payer.id = o.parent_id
    join parents reader on reader.email is not null and reader.id in (
        o.parent_id, case when p.second_share_percent is null then p.second_parent_id end
    )
    left join products product on product.id = o.product_id
    where y.id = :payment_id and reader.id = coalesce(cast(:parent_id as bigint), reader.id)
        and y.amount_cents > 0 and y.method <> 'waiver'
        and y.stripe_refund_id is null and y.voids_payment_id is null
        and not exists (select from payments undone where undone.voids_payment_id = y.id)
    order by is_copy
""")
# A copy of this job that runs at the same time waits, and then finds the receipts written down.
_LOCK_PAYMENT = text("select id from payments where id = :payment_id for no key update")
_WRITTEN = text("select parent_id from email_logs where payment_id = :payment_id")


async def _readers(conn: AsyncConnection, payment_id: int, parent_id: int | None = None) -> list[_Receipt]:
    named = {"payment_id": payment_id, "parent_id": parent_id}
    return [_Receipt(*row) for row in await conn.execute(_RECEIPTS, named)]


class Receipts:
    """Says who gets a payment's receipt, and what it says at the moment it goes out."""

    def __init__(
        self, database: Database, jobs: JobQueue, mailer: Mailer, links: FamilyLinks, clock: Clock
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mailer = mailer
        self._links = links
        self._clock = clock

    async def queue(self, payment_id: int) -> None:
        """Write down a payment's receipts and have them sent (the background's task).

        Nothing where the club sends none, mail is off, nobody has an address, it was no money, or it was undone.
        """
        if not self._mailer.is_on:
            return
        async with self._database.transaction() as conn:
            await conn.execute(_LOCK_PAYMENT, {"payment_id": payment_id})
            written = set(await conn.scalars(_WRITTEN, {"payment_id": payment_id}))
            receipts = [each for each in await _readers(conn, payment_id) if each.parent_id not in written]
            if not receipts:
                return
            club = await club_by_id(conn, receipts[0].tenant_id)
            for receipt in receipts:
                log_id = await add_attempt(conn, self._attempt(club, payment_id, receipt))
                await self._jobs.send_mail(conn, log_id)

    async def compose(
        self, conn: AsyncConnection, club: Club, payment_id: int, parent_id: int
    ) -> tuple[ReceiptMail, str] | None:
        """Return a receipt as it is true now and its reader's name; None where there is none to send any more."""
        receipts = await _readers(conn, payment_id, parent_id)
        if not receipts:
            return None
        receipt = receipts[0]
        return self._mail(club, receipt), f"{receipt.first_name} {receipt.last_name}".strip()

    def _attempt(self, club: Club, payment_id: int, receipt: _Receipt) -> NewAttempt:
        return NewAttempt(
            tenant_id=club.id,
            parent_id=receipt.parent_id,
            email_type=EmailType.RECEIPT,
            to_address=receipt.email,
            subject=subject_of(self._mail(club, receipt)),
            status=EmailStatus.QUEUED,
            order_ids=(receipt.order_id,),
            payment_id=payment_id,
        )

    def _mail(self, club: Club, receipt: _Receipt) -> ReceiptMail:
        method = METHOD_WORDS[PaymentMethod(receipt.method)]
        if receipt.method == PaymentMethod.CHECK and receipt.reference:
            method = f"{method} {receipt.reference}"
        # What was given back meanwhile is not owed again.
        left = receipt.left_cents if receipt.is_owed else min(receipt.left_cents, 0)
        item = MailItem(
            player_name=receipt.player_name,
            description=receipt.description,
            amount_cents=left,
            due_date=None,
            pay_url=self._links.pay_url(club.id, receipt.order_id),
        )
        return ReceiptMail(
            kind=EmailType.RECEIPT,
            brand=brand_of(club),
            currency=club.currency,
            greeting_name=receipt.first_name,
            items=(item,),
            total_cents=receipt.amount_cents,
            balance_url=self._links.balance_url(club.id, receipt.parent_id),
            today=local_date(self._clock(), club.time_zone),
            paid_on=local_date(receipt.paid_at, club.time_zone),
            method=method,
            left_cents=left,
            statement_url=self._links.statement_url(club.id, receipt.parent_id),
            copy_of=(receipt.payer_name or "the other guardian") if receipt.is_copy else "",
        )

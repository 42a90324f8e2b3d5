"""Turns what a family owes into the mail it gets."""

from collections.abc import Sequence
from datetime import date

from core.balances import OwedItem
from core.clock import Clock, local_date
from core.club import Club
from core.instalments import one_line_a_plan
from core.models.statuses import EmailType
from core.rendering import Brand, FamilyMail, MailItem
from core.tokens import FamilyLinks


def brand_of(club: Club) -> Brand:
    """Return how a club presents itself."""
    return Brand(club.name, club.brand_color, club.reply_to)


class FamilyMails:
    """Composes mails; the addresses in them are ours, and look at the order on every click."""

    def __init__(self, links: FamilyLinks, clock: Clock) -> None:
        self._links = links
        self._clock = clock

    def compose(
        self, club: Club, kind: EmailType, items: Sequence[OwedItem], note: str = "", *, prorate: bool = True
    ) -> FamilyMail:
        """Return one family's mail. `items` are all one parent's, and at least one.

        Without `prorate` the buttons of a first payment lead to the whole month's fee.
        """
        today = self.today(club)
        items = one_line_a_plan(items, today)
        first = items[0]
        return FamilyMail(
            kind=kind,
            brand=brand_of(club),
            currency=club.currency,
            greeting_name=first.parent_first_name,
            items=tuple(self._item(item, self._pay_url(club, kind, item, prorate=prorate)) for item in items),
            total_cents=sum(item.balance_cents for item in items),
            balance_url=self._links.balance_url(club.id, first.parent_id),
            note=note,
            today=today,
        )

    def today(self, club: Club) -> date:
        """Return the club's day."""
        return local_date(self._clock(), club.time_zone)

    def _pay_url(self, club: Club, kind: EmailType, item: OwedItem, *, prorate: bool) -> str:
        if kind is EmailType.FIRST_PAYMENT:
            return self._links.first_payment_url(club.id, item.player_id, item.payer_id, prorate=prorate)
        return self._links.pay_url(club.id, item.order_id)

    @staticmethod
    def _item(item: OwedItem, pay_url: str) -> MailItem:
        return MailItem(
            player_name=item.player_name,
            description=item.description,
            amount_cents=item.balance_cents,
            due_date=item.due_date,
            pay_url=pay_url,
            usually_paid_by=(item.payer_name or "the other guardian") if item.is_copy else "",
        )

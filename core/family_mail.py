"""Turns what a family owes into the mail it gets."""

from collections.abc import Sequence

from core.balances import OwedItem
from core.clock import Clock, local_date
from core.club import Club
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

    def compose(self, club: Club, kind: EmailType, items: Sequence[OwedItem], note: str = "") -> FamilyMail:
        """Return one family's mail. `items` are all one parent's, and at least one."""
        first = items[0]
        return FamilyMail(
            kind=kind,
            brand=brand_of(club),
            currency=club.currency,
            greeting_name=first.parent_first_name,
            items=tuple(self._item(club, item) for item in items),
            total_cents=sum(item.balance_cents for item in items),
            balance_url=self._links.balance_url(club.id, first.parent_id),
            note=note,
            today=local_date(self._clock(), club.time_zone),
        )

    def _item(self, club: Club, item: OwedItem) -> MailItem:
        return MailItem(
            player_name=item.player_name,
            description=item.description,
            amount_cents=item.balance_cents,
            due_date=item.due_date,
            pay_url=self._links.pay_url(club.id, item.order_id),
        )

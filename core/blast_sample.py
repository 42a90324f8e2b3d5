"""What a blast's mail looks like: the one that its first family would get now."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audiences import family_items
from core.blasts import load_blast
from core.club import Club
from core.errors import AlreadyDoneError
from core.family_mail import FamilyMails
from core.models import BlastRecipient
from core.models.statuses import RecipientStatus
from core.rendering import FamilyMail

_FAMILIES_TRIED = 20


async def sample_mail(conn: AsyncConnection, mails: FamilyMails, club: Club, blast_id: int) -> FamilyMail:
    """Return the mail of the blast's first family that still owes something.

    Raises:
        NotFoundError: no such blast in this club.
        AlreadyDoneError: where none of the first families owes anything any more.
    """
    blast = await load_blast(conn, club.id, blast_id)
    parent_ids = await conn.scalars(
        select(BlastRecipient.parent_id)
        .where(BlastRecipient.blast_id == blast_id, BlastRecipient.status != RecipientStatus.SKIPPED)
        .order_by(BlastRecipient.parent_id)
        .limit(_FAMILIES_TRIED)
    )
    for parent_id in parent_ids:
        items = await family_items(conn, club.id, blast.query, parent_id, mails.today(club))
        if items:
            prorate = not blast.query.skip_proration
            return mails.compose(club, blast.kind, items, blast.note, prorate=prorate)
    raise AlreadyDoneError("The first families of this blast owe nothing any more, so there is no mail to show.")

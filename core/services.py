"""Puts settings, database, gateway, mailer, clock and queue together. Nothing is built at import."""

from dataclasses import dataclass

from sqlalchemy.engine import URL

from core.backfill import Backfill
from core.blast_sender import BlastSender
from core.blasts import Blasts
from core.clock import Clock, system_clock
from core.database import Database
from core.family_mail import FamilyMails
from core.jobs import Handler, JobQueue
from core.mail import Mailer
from core.messenger import Messenger, NoMessenger
from core.outbox import Outbox
from core.pace import Pacer
from core.pages import PageRenderer
from core.payment_links import PaymentLinks
from core.player_search import PlayerSearch
from core.rendering import MailRenderer, build_environment
from core.settings import Settings
from core.smtp import SmtpMailer
from core.stripe_events import StripeEvents
from core.stripe_gateway import StripeGateway
from core.tokens import FamilyLinks
from core.unmatched import UnmatchedPayments


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a room needs, built once a process."""

    settings: Settings
    clock: Clock
    database: Database
    jobs: JobQueue
    pacer: Pacer
    gateway: StripeGateway | None
    mailer: Mailer
    pages: PageRenderer
    family_links: FamilyLinks
    mails: FamilyMails
    payment_links: PaymentLinks
    stripe_events: StripeEvents
    search: PlayerSearch
    outbox: Outbox
    blasts: Blasts
    blast_sender: BlastSender
    backfill: Backfill
    unmatched: UnmatchedPayments

    def handlers(self, messenger: Messenger | None = None) -> dict[str, Handler]:
        """Return what the background runs; without a messenger, notices are marked as not posted."""
        messenger = messenger or NoMessenger(self.database)
        return {
            "send_mail": self.outbox.send,
            "send_blast_mail": self.blast_sender.send,
            "post_notice": messenger.post_notice,
            "refresh_blast_message": messenger.refresh_blast_message,
            "tell_person": messenger.tell_person,
            "close_link": self.payment_links.close_link,
        }

    async def close(self) -> None:
        """Give every connection back."""
        if self.gateway is not None:
            await self.gateway.close()
        await self.mailer.close()
        await self.database.close()


def build_services(settings: Settings, url: URL, *, clock: Clock = system_clock) -> Services:
    """Build everything for the database at `url`. Connects to nothing yet.

    Raises:
        SettingsError: where `SMTP_URL` can't be read.
    """
    database = Database(url)
    jobs = JobQueue(url)
    pacer = Pacer(database)
    gateway = _gateway(settings, pacer)
    environment = build_environment()
    mailer = _mailer(settings, MailRenderer(environment))
    family_links = FamilyLinks(settings.base_url, settings.signing_key)
    mails = FamilyMails(family_links, clock)
    payment_links = PaymentLinks(database, gateway, jobs, clock)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        jobs=jobs,
        pacer=pacer,
        gateway=gateway,
        mailer=mailer,
        pages=PageRenderer(environment),
        family_links=family_links,
        mails=mails,
        payment_links=payment_links,
        stripe_events=StripeEvents(database, jobs, payment_links, clock),
        search=PlayerSearch(),
        outbox=Outbox(database, jobs, mailer, mails, clock),
        blasts=Blasts(database, jobs, clock),
        blast_sender=BlastSender(database, jobs, mailer, mails, clock),
        backfill=Backfill(database, payment_links),
        unmatched=UnmatchedPayments(database, jobs, payment_links, clock),
    )


def _gateway(settings: Settings, pacer: Pacer) -> StripeGateway | None:
    if settings.stripe_secret_key is None:
        return None
    key = settings.stripe_secret_key.get_secret_value()
    return StripeGateway(key, pacer, api_base=settings.stripe_api_base)


def _mailer(settings: Settings, renderer: MailRenderer) -> Mailer:
    smtp = SmtpMailer.from_url(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
    return Mailer(smtp, renderer, settings.mail_from)

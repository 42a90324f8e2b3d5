"""Puts settings, database, gateway, mailer, clock and queue together. Nothing is built at import."""

from dataclasses import dataclass

from sqlalchemy.engine import URL

from core.backfill import Backfill
from core.blast_sample import BlastSamples
from core.blast_sender import BlastSender
from core.blasts import Blasts
from core.clock import Clock, system_clock
from core.database import Database
from core.family_mail import FamilyMails
from core.first_payment import FirstPayments
from core.gmail import GmailMailer
from core.jobs import Handler, JobQueue
from core.mail import Mailer, Transport, read_sender
from core.manual_payments import ManualPayments
from core.messenger import Messenger, NoMessenger
from core.models.statuses import EmailType
from core.order_changes import OrderChanges
from core.outbox import Outbox
from core.pace import Pacer
from core.pages import PageRenderer
from core.payment_links import PaymentLinks
from core.pdf import PdfMaker
from core.player_search import PlayerSearch
from core.receipts import Receipts
from core.reconcile import Reconciliation
from core.reconcile_desk import ReconcileDesk
from core.refunds import Refunds
from core.regenerate import TournamentLinks
from core.reminders import Reminders
from core.rendering import MailRenderer, build_environment
from core.repairs import CheckoutUrls
from core.settings import Settings
from core.smtp import SmtpMailer
from core.stripe_accounts import StripeAccounts
from core.stripe_events import StripeEvents
from core.stripe_gateway import StripeGateway
from core.tokens import FamilyLinks
from core.tournament_billing import TournamentMinting, prepare_tournament_fees
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
    pdf: PdfMaker
    family_links: FamilyLinks
    mails: FamilyMails
    payment_links: PaymentLinks
    stripe_events: StripeEvents
    search: PlayerSearch
    receipts: Receipts
    outbox: Outbox
    blast_samples: BlastSamples
    first_payments: FirstPayments
    tournament_minting: TournamentMinting
    blasts: Blasts
    blast_sender: BlastSender
    backfill: Backfill
    unmatched: UnmatchedPayments
    manual_payments: ManualPayments
    order_changes: OrderChanges
    refunds: Refunds
    checkout_urls: CheckoutUrls
    tournament_links: TournamentLinks
    reconciliation: Reconciliation
    reconcile_desk: ReconcileDesk
    reminders: Reminders

    def handlers(self, messenger: Messenger | None = None) -> dict[str, Handler]:
        """Return what the background runs; without a messenger, notices are marked as not posted."""
        messenger = messenger or NoMessenger(self.database)
        return {
            "send_mail": self.outbox.send,
            "send_blast_mail": self.blast_sender.send,
            "send_blast_mails": self.blast_sender.send_several,
            "send_receipts": self.receipts.queue,
            "post_notice": messenger.post_notice,
            "refresh_blast_message": messenger.refresh_blast_message,
            "tell_person": messenger.tell_person,
            "close_link": self.payment_links.close_link,
            "refund_payment": self.refunds.refund,
            "refresh_notice": messenger.refresh_notice,
            "follow_up_payments": self.stripe_events.follow_up,
            "start_reminders": self.reminders.start_due,
            "remind_club": self.reminders.run_due,
            "start_reconciliations": self.reconciliation.start_night,
            "reconcile_club": self.reconciliation.run_night,
            "repair_finding": self.reconcile_desk.repair_requested,
            "refresh_reconciliation": messenger.refresh_reconciliation,
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
        SettingsError: where `SMTP_URL`, `MAIL_FROM` or the file of `GMAIL_SERVICE_ACCOUNT_FILE` can't be read.
    """
    database = Database(url)
    jobs = JobQueue(url)
    pacer = Pacer(database)
    gateway = _gateway(settings, pacer, database)
    environment = build_environment()
    mailer = Mailer(_transport(settings, pacer), MailRenderer(environment), settings.mail_from)
    family_links = FamilyLinks(settings.base_url, settings.signing_keys)
    mails = FamilyMails(family_links, clock)
    payment_links = PaymentLinks(database, gateway, jobs, clock)
    stripe_events = StripeEvents(database, jobs, payment_links, clock)
    first_payments = FirstPayments(database, payment_links, clock)
    backfill = Backfill(database, payment_links)
    receipts = Receipts(database, jobs, mailer, family_links, clock)
    preparations = {
        EmailType.FIRST_PAYMENT: first_payments.prepare,
        EmailType.TOURNAMENT_FEE: prepare_tournament_fees,
    }
    blasts = Blasts(database, jobs, clock, preparations)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        jobs=jobs,
        pacer=pacer,
        gateway=gateway,
        mailer=mailer,
        pages=PageRenderer(environment),
        pdf=PdfMaker(),
        family_links=family_links,
        mails=mails,
        payment_links=payment_links,
        stripe_events=stripe_events,
        search=PlayerSearch(),
        receipts=receipts,
        outbox=Outbox(database, jobs, mailer, mails, receipts, clock),
        blast_samples=BlastSamples(database, mailer, mails),
        first_payments=first_payments,
        tournament_minting=TournamentMinting(database, backfill),
        blasts=blasts,
        blast_sender=BlastSender(database, jobs, mailer, mails, clock),
        backfill=backfill,
        unmatched=UnmatchedPayments(database, jobs, payment_links, clock),
        manual_payments=ManualPayments(database, jobs, payment_links, clock),
        order_changes=OrderChanges(database, payment_links),
        refunds=Refunds(database, jobs, gateway),
        checkout_urls=CheckoutUrls(database, gateway),
        tournament_links=TournamentLinks(database, gateway, payment_links),
        reconciliation=Reconciliation(database, jobs, gateway, clock),
        reconcile_desk=ReconcileDesk(database, jobs, gateway, payment_links, stripe_events, clock),
        reminders=Reminders(database, jobs, blasts, clock, is_mail_on=mailer.is_on),
    )


def _gateway(settings: Settings, pacer: Pacer, database: Database) -> StripeGateway | None:
    if settings.stripe_secret_key is None:
        return None
    key = settings.stripe_secret_key.get_secret_value()
    accounts = StripeAccounts(database)
    return StripeGateway(key, pacer, api_base=settings.stripe_api_base, account_of_club=accounts.current)


def _transport(settings: Settings, pacer: Pacer) -> Transport | None:
    if settings.smtp_url:
        return SmtpMailer.from_url(settings.smtp_url.get_secret_value())
    if settings.gmail_service_account_file and settings.mail_from:
        subject = read_sender(settings.mail_from).address
        return GmailMailer.from_file(
            settings.gmail_service_account_file, subject=subject, pacer=pacer, api_base=settings.gmail_api_base
        )
    return None

"""Clubs, families and teams."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, UUID
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, CreatedAt, Currency, PrimaryKey, TenantId, one_of
from core.models.statuses import ContractStatus


class Tenant(Base):
    """A club. Everything else belongs to one."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name_given"),
        CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency_code"),
        CheckConstraint("brand_color ~ '^#[0-9a-fA-F]{6}$'", name="brand_color_hex"),
    )

    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(unique=True)
    slack_team_id: Mapped[str | None] = mapped_column(unique=True)
    currency: Mapped[Currency]
    time_zone: Mapped[str] = mapped_column(server_default="America/New_York")
    brand_color: Mapped[str] = mapped_column(server_default="#0b6e4f")
    reply_to: Mapped[str | None]
    two_person_approval: Mapped[bool] = mapped_column(server_default=sql("false"))
    # Off where Stripe sends its own.
    sends_receipts: Mapped[bool] = mapped_column(server_default=sql("true"))
    # The connected account that the club's money goes to; none: the key's own.
    stripe_account_id: Mapped[str | None] = mapped_column(unique=True)
    # Where a club says nothing, the settings' own of the same name hold, if it is the settings' club.
    slack_payments_channel: Mapped[str | None]
    slack_approvals_channel: Mapped[str | None]
    slack_admins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'::text[]"))
    slack_coaches: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=sql("'{}'::text[]"))
    # Part of every idempotency key, so that a rebuilt database never meets an earlier one's keys at Stripe.
    uid: Mapped[str] = mapped_column(UUID(as_uuid=False), server_default=func.gen_random_uuid())
    created_at: Mapped[CreatedAt]


class ClubInvite(Base):
    """A link by which one workspace may install the app, once: a new club's, or an existing one's."""

    __tablename__ = "club_invites"

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("tenants.id"))
    # What ties Slack's answer to the link that was followed.
    state: Mapped[str | None] = mapped_column(unique=True)
    slack_team_id: Mapped[str | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class Team(Base):
    """A team of a club."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("id", "tenant_id"), CheckConstraint("name <> ''", name="name_given"))

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    name: Mapped[str]
    created_at: Mapped[CreatedAt]


Index("uq_teams_tenant_id_name", Team.tenant_id, func.lower(Team.name), unique=True)


class Parent(Base):
    """Who pays: one row a family, found by its e-mail address."""

    __tablename__ = "parents"
    __table_args__ = (UniqueConstraint("id", "tenant_id"),)

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    first_name: Mapped[str] = mapped_column(server_default="")
    last_name: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str | None]
    phone: Mapped[str | None]
    # What the mail server said when it refused this address for good; gone with the next mail that it takes.
    email_problem: Mapped[str | None]
    email_problem_at: Mapped[datetime | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]


Index("uq_parents_tenant_id_email", Parent.tenant_id, func.lower(Parent.email), unique=True)


class Player(Base):
    """A child who plays. The foreign keys carry the tenant, so a family can't straddle two clubs."""

    __tablename__ = "players"
    __table_args__ = (
        UniqueConstraint("id", "tenant_id"),
        ForeignKeyConstraint(["parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        ForeignKeyConstraint(["team_id", "tenant_id"], ["teams.id", "teams.tenant_id"]),
        CheckConstraint(one_of("contract_status", ContractStatus), name="contract_status_known"),
        CheckConstraint("monthly_fee_cents >= 0", name="monthly_fee_not_negative"),
        ForeignKeyConstraint(["second_parent_id", "tenant_id"], ["parents.id", "parents.tenant_id"]),
        CheckConstraint("second_parent_id <> parent_id", name="guardians_are_two"),
        CheckConstraint(
            "second_share_percent is null"
            " or (second_parent_id is not null and second_share_percent between 1 and 99)",
            name="share_is_part",
        ),
        Index(
            "ix_players_second_parent_id",
            "second_parent_id",
            postgresql_where=sql("second_parent_id is not null"),
        ),
        Index("ix_players_parent_id", "parent_id"),
        Index("ix_players_tenant_id_team_id", "tenant_id", "team_id"),
    )

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    parent_id: Mapped[int]
    team_id: Mapped[int | None]
    first_name: Mapped[str]
    last_name: Mapped[str]
    contract_status: Mapped[str] = mapped_column(server_default=ContractStatus.NONE)
    monthly_fee_cents: Mapped[int | None]
    # Why the fee is special (a scholarship); for coaches and admins only, never in a mail or on a page.
    fee_note: Mapped[str] = mapped_column(server_default="")
    # When the contract was signed, in the club's days: the first month is charged from here.
    contract_date: Mapped[date | None] = mapped_column(Date)
    # The other guardian: gets copies, or, with a share, pays that part of every fee by orders of their own.
    second_parent_id: Mapped[int | None]
    second_share_percent: Mapped[int | None]
    created_at: Mapped[CreatedAt]


Index(
    "uq_players_family_name",
    Player.tenant_id,
    Player.parent_id,
    func.lower(Player.first_name),
    func.lower(Player.last_name),
    unique=True,
)


class PlayerSearch(Base):
    """A player's folded name words for the search; kept by a trigger on `players`, whoever writes there."""

    __tablename__ = "player_search"
    __table_args__ = (
        Index("ix_player_search_document", "document", postgresql_using="gin"),
        # Who is called exactly so; what it holds has one length, however long a name is.
        Index(
            "ix_player_search_tenant_id_full_name", "tenant_id", sql("hashtextextended(cast(document as text), 0)")
        ),
    )

    player_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("players.id", ondelete="CASCADE"), primary_key=True
    )
    tenant_id: Mapped[TenantId]
    document: Mapped[str] = mapped_column(TSVECTOR)


class NameWord(Base):
    """The dictionary of a club's distinct folded name words, which misspelt searches are compared with."""

    __tablename__ = "name_words"
    __table_args__ = (UniqueConstraint("tenant_id", "word"),)

    id: Mapped[PrimaryKey]
    tenant_id: Mapped[TenantId]
    word: Mapped[str]

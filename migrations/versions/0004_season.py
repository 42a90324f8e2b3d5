"""A club's whole season: two guardians, instalments, reminders, refunds by us, receipts, reconciliation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHECKS = (
    ("players", "guardians_are_two", "second_parent_id <> parent_id"),
    (
        "players",
        "share_is_part",
        "second_share_percent is null or (second_parent_id is not null and second_share_percent between 1 and 99)",
    ),
    ("orders", "instalment_is_numbered", "(instalment_plan_id is null) = (instalment_number is null)"),
    ("payments", "stripe_payments_are_refunded", "stripe_payment_intent_id is null or voids_payment_id is null"),
)

# What may be told before the payment that it is about.
TOLD_EARLY = ("stripe_refunds", "stripe_disputes")

# Whoever changes an address: what a mail server said of the old one doesn't hold for the new one.
NEW_ADDRESS = """
create function sideline_forget_email_problem() returns trigger language plpgsql as $$
begin
    new.email_problem := null;
    new.email_problem_at := null;
    return new;
end $$;
create trigger forget_email_problem before update of email on parents for each row
    when (lower(old.email) is distinct from lower(new.email)) execute function sideline_forget_email_problem();
"""


def upgrade() -> None:
    """Add what a whole season needs; nothing that is there changes its meaning."""
    op.create_table(
        "reconcile_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("looked_at", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("night", sa.Date(), nullable=True),
        sa.Column(
            "finding_ids",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slack_channel", sa.Text(), nullable=True),
        sa.Column("slack_ts", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reconcile_runs_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_runs")),
    )
    op.create_index(
        "ix_reconcile_runs_tenant_id_created_at", "reconcile_runs", ["tenant_id", "created_at"], unique=False
    )
    op.create_index(
        "uq_reconcile_runs_night",
        "reconcile_runs",
        ["tenant_id", "night"],
        unique=True,
        postgresql_where=sa.text("night is not null"),
    )
    op.create_table(
        "reminder_rules",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("is_on", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "days_before",
            postgresql.ARRAY(sa.SmallInteger()),
            server_default=sa.text("'{3}'::smallint[]"),
            nullable=False,
        ),
        sa.Column(
            "days_after",
            postgresql.ARRAY(sa.SmallInteger()),
            server_default=sa.text("'{1,7,14}'::smallint[]"),
            nullable=False,
        ),
        sa.Column(
            "weekdays",
            postgresql.ARRAY(sa.SmallInteger()),
            server_default=sa.text("'{1,2,3,4,5}'::smallint[]"),
            nullable=False,
        ),
        sa.Column("send_at", sa.Time(), server_default=sa.text("'09:00'::time"), nullable=False),
        sa.Column("quiet_from", sa.Time(), server_default=sa.text("'20:00'::time"), nullable=False),
        sa.Column("quiet_until", sa.Time(), server_default=sa.text("'08:00'::time"), nullable=False),
        sa.Column("min_gap_days", sa.SmallInteger(), server_default=sa.text("2"), nullable=False),
        sa.Column("done_through", sa.Date(), nullable=True),
        sa.Column(
            "waiting",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.CheckConstraint("min_gap_days >= 0", name=op.f("ck_reminder_rules_gap_not_negative")),
        sa.CheckConstraint(
            "weekdays <@ array[1, 2, 3, 4, 5, 6, 7]::smallint[] and cardinality(weekdays) > 0",
            name=op.f("ck_reminder_rules_weekdays_known"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reminder_rules_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_reminder_rules")),
    )
    op.create_table(
        "family_holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_family_holds_reason_given")),
        sa.ForeignKeyConstraint(
            ["parent_id", "tenant_id"],
            ["parents.id", "parents.tenant_id"],
            name=op.f("fk_family_holds_parent_id_tenant_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_family_holds_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_family_holds")),
    )
    op.create_index(
        "uq_family_holds_parent_id",
        "family_holds",
        ["parent_id"],
        unique=True,
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.create_table(
        "reconcile_findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status in ('open', 'repaired', 'failed', 'gone')", name=op.f("ck_reconcile_findings_status_known")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["reconcile_runs.id"], name=op.f("fk_reconcile_findings_run_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reconcile_findings_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_findings")),
    )
    op.create_index("ix_reconcile_findings_run_id", "reconcile_findings", ["run_id"], unique=False)
    op.create_index(
        "uq_reconcile_findings_open",
        "reconcile_findings",
        ["tenant_id", "kind", "key"],
        unique=True,
        postgresql_where=sa.text("status in ('open', 'failed')"),
    )
    op.create_table(
        "reminder_runs",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("run_on", sa.Date(), nullable=False),
        sa.Column("blast_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "waiting",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status in ('nobody', 'waiting', 'sent')", name=op.f("ck_reminder_runs_status_known")),
        sa.ForeignKeyConstraint(["blast_id"], ["blasts.id"], name=op.f("fk_reminder_runs_blast_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_reminder_runs_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "run_on", name=op.f("pk_reminder_runs")),
    )
    op.create_table(
        "instalment_plans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("player_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("instalments", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "category in ('monthly', 'tournament', 'jersey', 'tryout', 'generic')",
            name=op.f("ck_instalment_plans_category_known"),
        ),
        sa.CheckConstraint("instalments between 2 and 60", name=op.f("ck_instalment_plans_instalments_sensible")),
        sa.CheckConstraint("total_cents >= 0", name=op.f("ck_instalment_plans_total_not_negative")),
        sa.ForeignKeyConstraint(
            ["parent_id", "tenant_id"],
            ["parents.id", "parents.tenant_id"],
            name=op.f("fk_instalment_plans_parent_id_tenant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["player_id", "tenant_id"],
            ["players.id", "players.tenant_id"],
            name=op.f("fk_instalment_plans_player_id_tenant_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_instalment_plans_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instalment_plans")),
        sa.UniqueConstraint("id", "tenant_id", name=op.f("uq_instalment_plans_id_tenant_id")),
        sa.UniqueConstraint(
            "tenant_id",
            "player_id",
            "parent_id",
            "category",
            "name",
            name=op.f("uq_instalment_plans_tenant_id_player_id_parent_id_category_name"),
        ),
    )
    op.create_index("ix_instalment_plans_parent_id", "instalment_plans", ["parent_id"], unique=False)
    op.create_table(
        "refund_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default="requested", nullable=False),
        sa.Column("stripe_refund_id", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status in ('requested', 'done', 'failed')", name=op.f("ck_refund_requests_status_known")
        ),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_refund_requests_amount_positive")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refund_requests_payment_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_refund_requests_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_requests")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_refund_requests_payment_id")),
    )
    for table in TOLD_EARLY:
        waiting = postgresql.ARRAY(sa.Text())
        op.add_column(
            table, sa.Column("waiting_event_ids", waiting, server_default=sa.text("'{}'::text[]"), nullable=False)
        )
    op.add_column("email_logs", sa.Column("payment_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_email_logs_created_at", "email_logs", ["created_at"], unique=False)
    op.create_index(
        "uq_email_logs_receipt",
        "email_logs",
        ["payment_id", "parent_id", "attempt"],
        unique=True,
        postgresql_where=sa.text("payment_id is not null"),
    )
    op.create_foreign_key(op.f("fk_email_logs_payment_id"), "email_logs", "payments", ["payment_id"], ["id"])
    op.add_column("orders", sa.Column("instalment_plan_id", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("instalment_number", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_orders_instalment",
        "orders",
        ["instalment_plan_id", "instalment_number"],
        unique=True,
        postgresql_where=sa.text("instalment_plan_id is not null and status <> 'canceled'"),
    )
    op.create_foreign_key(
        op.f("fk_orders_instalment_plan_id_tenant_id"),
        "orders",
        "instalment_plans",
        ["instalment_plan_id", "tenant_id"],
        ["id", "tenant_id"],
    )
    op.add_column("parents", sa.Column("email_problem", sa.Text(), nullable=True))
    op.add_column("parents", sa.Column("email_problem_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(NEW_ADDRESS)
    op.add_column("payments", sa.Column("reference", sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("voids_payment_id", sa.BigInteger(), nullable=True))
    op.add_column("payments", sa.Column("request_key", sa.Text(), nullable=True))
    op.create_index("uq_payments_request_key", "payments", ["request_key"], unique=True)
    op.create_index("uq_payments_voids_payment_id", "payments", ["voids_payment_id"], unique=True)
    op.create_foreign_key(
        op.f("fk_payments_voids_payment_id"), "payments", "payments", ["voids_payment_id"], ["id"]
    )
    op.add_column("players", sa.Column("fee_note", sa.Text(), server_default="", nullable=False))
    op.add_column("players", sa.Column("contract_date", sa.Date(), nullable=True))
    op.add_column("players", sa.Column("second_parent_id", sa.BigInteger(), nullable=True))
    op.add_column("players", sa.Column("second_share_percent", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_players_second_parent_id",
        "players",
        ["second_parent_id"],
        unique=False,
        postgresql_where=sa.text("second_parent_id is not null"),
    )
    op.create_foreign_key(
        op.f("fk_players_second_parent_id_tenant_id"),
        "players",
        "parents",
        ["second_parent_id", "tenant_id"],
        ["id", "tenant_id"],
    )
    op.add_column("products", sa.Column("share_of", sa.BigInteger(), nullable=True))
    op.create_index(
        "uq_products_item",
        "products",
        ["tenant_id", "category", "name", "price_cents"],
        unique=True,
        postgresql_where=sa.text("category in ('jersey', 'tryout', 'generic') and share_of is null"),
    )
    op.create_index(
        "uq_products_share_of",
        "products",
        ["share_of"],
        unique=True,
        postgresql_where=sa.text("share_of is not null"),
    )
    op.create_foreign_key(
        op.f("fk_products_share_of_tenant_id"),
        "products",
        "products",
        ["share_of", "tenant_id"],
        ["id", "tenant_id"],
    )
    op.add_column(
        "tenants", sa.Column("sends_receipts", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.create_index("ix_tournament_products_product_id", "tournament_products", ["product_id"], unique=False)
    op.drop_index("uq_products_monthly_tier", table_name="products")
    op.create_index(
        "uq_products_monthly_tier",
        "products",
        ["tenant_id", "period", "price_cents"],
        unique=True,
        postgresql_where=sa.text("category = 'monthly' and period is not null and share_of is null"),
    )
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def downgrade() -> None:
    """Take it away again, and with it whatever was only kept there."""
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    # What tells the second guardian's part from the whole fee is about to go.
    op.execute("update products set category = 'generic', period = null where share_of is not null")
    op.drop_index("uq_products_monthly_tier", table_name="products")
    op.create_index(
        "uq_products_monthly_tier",
        "products",
        ["tenant_id", "period", "price_cents"],
        unique=True,
        postgresql_where=sa.text("category = 'monthly' and period is not null"),
    )
    op.drop_index("ix_tournament_products_product_id", table_name="tournament_products")
    op.drop_column("tenants", "sends_receipts")
    for table in TOLD_EARLY:
        op.drop_column(table, "waiting_event_ids")
    op.drop_constraint(op.f("fk_products_share_of_tenant_id"), "products", type_="foreignkey")
    op.drop_index("uq_products_share_of", table_name="products", postgresql_where=sa.text("share_of is not null"))
    op.drop_index(
        "uq_products_item",
        table_name="products",
        postgresql_where=sa.text("category in ('jersey', 'tryout', 'generic') and share_of is null"),
    )
    op.drop_column("products", "share_of")
    op.drop_constraint(op.f("fk_players_second_parent_id_tenant_id"), "players", type_="foreignkey")
    op.drop_index(
        "ix_players_second_parent_id",
        table_name="players",
        postgresql_where=sa.text("second_parent_id is not null"),
    )
    op.drop_column("players", "second_share_percent")
    op.drop_column("players", "second_parent_id")
    op.drop_column("players", "contract_date")
    op.drop_column("players", "fee_note")
    op.drop_constraint(op.f("fk_payments_voids_payment_id"), "payments", type_="foreignkey")
    op.drop_index("uq_payments_voids_payment_id", table_name="payments")
    op.drop_index("uq_payments_request_key", table_name="payments")
    op.drop_column("payments", "request_key")
    op.drop_column("payments", "voids_payment_id")
    op.drop_column("payments", "reference")
    op.execute("drop trigger forget_email_problem on parents; drop function sideline_forget_email_problem()")
    op.drop_column("parents", "email_problem_at")
    op.drop_column("parents", "email_problem")
    op.drop_constraint(op.f("fk_orders_instalment_plan_id_tenant_id"), "orders", type_="foreignkey")
    op.drop_index(
        "uq_orders_instalment",
        table_name="orders",
        postgresql_where=sa.text("instalment_plan_id is not null and status <> 'canceled'"),
    )
    op.drop_column("orders", "instalment_number")
    op.drop_column("orders", "instalment_plan_id")
    op.drop_constraint(op.f("fk_email_logs_payment_id"), "email_logs", type_="foreignkey")
    op.drop_index(
        "uq_email_logs_receipt", table_name="email_logs", postgresql_where=sa.text("payment_id is not null")
    )
    op.drop_index("ix_email_logs_created_at", table_name="email_logs")
    op.drop_column("email_logs", "payment_id")
    op.drop_table("refund_requests")
    op.drop_index("ix_instalment_plans_parent_id", table_name="instalment_plans")
    op.drop_table("instalment_plans")
    op.drop_table("reminder_runs")
    op.drop_index(
        "uq_reconcile_findings_open",
        table_name="reconcile_findings",
        postgresql_where=sa.text("status in ('open', 'failed')"),
    )
    op.drop_index("ix_reconcile_findings_run_id", table_name="reconcile_findings")
    op.drop_table("reconcile_findings")
    op.drop_index(
        "uq_family_holds_parent_id", table_name="family_holds", postgresql_where=sa.text("lifted_at is null")
    )
    op.drop_table("family_holds")
    op.drop_table("reminder_rules")
    op.drop_index("ix_reconcile_runs_tenant_id_created_at", table_name="reconcile_runs")
    op.drop_table("reconcile_runs")

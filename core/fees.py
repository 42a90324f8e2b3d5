"""What sets one kind of fee apart from another: data, so that nothing else has to ask."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.models.statuses import Category, ContractStatus


@dataclass(frozen=True, slots=True)
class FeeRule:
    """How links and debts of one category behave."""

    # Whether its payment link is closed at Stripe once the order is paid.
    closes_when_paid: bool
    # Whether Stripe keeps the card for later (`setup_future_usage: off_session`).
    saves_card: bool
    # Whether it can only be paid while the player's contract is signed.
    needs_contract: bool


FEE_RULES: Mapping[Category, FeeRule] = {
    Category.MONTHLY: FeeRule(closes_when_paid=True, saves_card=True, needs_contract=True),
    Category.TOURNAMENT: FeeRule(closes_when_paid=True, saves_card=False, needs_contract=True),
    Category.JERSEY: FeeRule(closes_when_paid=False, saves_card=False, needs_contract=False),
    Category.TRYOUT: FeeRule(closes_when_paid=False, saves_card=False, needs_contract=False),
    Category.GENERIC: FeeRule(closes_when_paid=False, saves_card=False, needs_contract=False),
}


def fee_rule(category: str | None) -> FeeRule:
    """Return a category's rule; an order without a product is treated as a generic one."""
    return FEE_RULES[Category(category) if category is not None else Category.GENERIC]


def contract_allows(category: str | None, contract_status: str) -> bool:
    """Say whether a fee of this category may be paid under a contract in this status."""
    return not fee_rule(category).needs_contract or contract_status == ContractStatus.SIGNED

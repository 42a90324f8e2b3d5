"""Signed tokens in the addresses that parents get. They name a thing, never expire, and are checked anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer

from core.errors import NotFoundError

_UNKNOWN = "We don't know this link."


@dataclass(frozen=True, slots=True)
class FirstPaymentToken:
    """Whose first month is to be paid, by whom, and whether it may be charged by days."""

    tenant_id: int
    player_id: int
    payer_id: int
    may_prorate: bool


class FamilyLinks:
    """Makes and reads the addresses of pay links and family pages.

    It signs with the first of `signing_keys` and reads what any of them signed, so that a key can be replaced
    while mails with the old one's links are still around.
    """

    def __init__(self, base_url: str, signing_keys: Sequence[str]) -> None:
        self._base_url = base_url
        oldest_first = list(reversed(signing_keys))
        # A salt each, so that a token of one kind never passes for the other.
        self._pay = URLSafeSerializer(oldest_first, salt="pay")
        self._balance = URLSafeSerializer(oldest_first, salt="balance")
        self._first_payment = URLSafeSerializer(oldest_first, salt="first-payment")
        self._statement = URLSafeSerializer(oldest_first, salt="statement")

    def pay_url(self, tenant_id: int, order_id: int) -> str:
        """Return the lasting address under which an order can be paid."""
        return f"{self._base_url}/pay/{self._pay.dumps([tenant_id, order_id])}"

    def balance_url(self, tenant_id: int, parent_id: int) -> str:
        """Return the lasting address of a family's page."""
        return f"{self._base_url}/balance/{self._balance.dumps([tenant_id, parent_id])}"

    def statement_url(self, tenant_id: int, parent_id: int) -> str:
        """Return the lasting address of a family's yearly statement; `?year=` chooses, `.pdf` makes it a PDF."""
        return f"{self._base_url}/statement/{self._statement.dumps([tenant_id, parent_id])}"

    def first_payment_url(self, tenant_id: int, player_id: int, payer_id: int, *, prorate: bool = True) -> str:
        """Return the lasting address under which this payer's part of a player's first month can be paid.

        The flat fee is in the token too: whoever rewrites the address can't make it cheaper.
        """
        token = self._first_payment.dumps([tenant_id, player_id, payer_id, int(prorate)])
        return f"{self._base_url}/checkout/first-payment?token={token}&prorate={'true' if prorate else 'false'}"

    def read_pay(self, token: str) -> tuple[int, int]:
        """Return the tenant's and the order's id of a pay token.

        Raises:
            NotFoundError: where this server did not sign it.
        """
        return self._read(self._pay, token)

    def read_balance(self, token: str) -> tuple[int, int]:
        """Return the tenant's and the parent's id of a family page's token.

        Raises:
            NotFoundError: where this server did not sign it.
        """
        return self._read(self._balance, token)

    def read_statement(self, token: str) -> tuple[int, int]:
        """Return the tenant's and the parent's id of a statement's token.

        Raises:
            NotFoundError: where this server did not sign it.
        """
        return self._read(self._statement, token)

    def read_first_payment(self, token: str) -> FirstPaymentToken:
        """Return what a first payment's token names.

        Raises:
            NotFoundError: where this server did not sign it.
        """
        try:
            tenant_id, player_id, payer_id, may_prorate = self._first_payment.loads(token)
        except BadSignature:
            raise NotFoundError(_UNKNOWN) from None
        return FirstPaymentToken(int(tenant_id), int(player_id), int(payer_id), bool(may_prorate))

    @staticmethod
    def _read(serializer: URLSafeSerializer, token: str) -> tuple[int, int]:
        try:
            tenant_id, subject_id = serializer.loads(token)
        except BadSignature:
            raise NotFoundError(_UNKNOWN) from None
        return int(tenant_id), int(subject_id)

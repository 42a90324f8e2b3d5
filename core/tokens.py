"""Signed tokens in the addresses that parents get. They name a thing, never expire, and are checked anew."""

from itsdangerous import BadSignature, URLSafeSerializer

from core.errors import NotFoundError

_UNKNOWN = "We don't know this link."


class FamilyLinks:
    """Makes and reads the addresses of pay links and family pages."""

    def __init__(self, base_url: str, signing_key: str) -> None:
        self._base_url = base_url
        # A salt each, so that a token of one kind never passes for the other.
        self._pay = URLSafeSerializer(signing_key, salt="pay")
        self._balance = URLSafeSerializer(signing_key, salt="balance")

    def pay_url(self, tenant_id: int, order_id: int) -> str:
        """Return the lasting address under which an order can be paid."""
        return f"{self._base_url}/pay/{self._pay.dumps([tenant_id, order_id])}"

    def balance_url(self, tenant_id: int, parent_id: int) -> str:
        """Return the lasting address of a family's page."""
        return f"{self._base_url}/balance/{self._balance.dumps([tenant_id, parent_id])}"

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

    @staticmethod
    def _read(serializer: URLSafeSerializer, token: str) -> tuple[int, int]:
        try:
            tenant_id, subject_id = serializer.loads(token)
        except BadSignature:
            raise NotFoundError(_UNKNOWN) from None
        return int(tenant_id), int(subject_id)

"""Which connected Stripe account a club's money goes to."""

from sqlalchemy import text

from core.database import Database
from core.tenancy import current_tenant, tenant_scope

_ACCOUNT = text("select stripe_account_id from tenants where id = :tenant_id")


class StripeAccounts:
    """Finds the account of the club that a piece of work is for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self) -> str | None:
        """Return the connected account's id; None for the key's own, also where the work is no single club's.

        Asked anew each time: a link minted on the account that was the club's a minute ago would be paid there.
        """
        tenant_id = current_tenant()
        if tenant_id is None:
            return None
        # One statement by its key; without the scope it needs no transaction.
        with tenant_scope(None):
            async with self._database.reading() as conn:
                account: str | None = await conn.scalar(_ACCOUNT, {"tenant_id": tenant_id})
        return account

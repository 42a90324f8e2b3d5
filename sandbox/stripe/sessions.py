"""Checkout Sessions as objects: made by a link's page or by the API, open, then complete or expired."""

from datetime import timedelta

from sandbox.stripe.books import Books, Json, new_id
from sandbox.stripe.errors import NotPossibleError

LASTS = timedelta(hours=24)


def make_session(books: Books, items: list[Json], intent_data: Json, **fields: object) -> Json:
    """Make an open session that sells these items.

    Args:
        books: where it is kept.
        items: its line items.
        intent_data: what its PaymentIntent will be made from.
        fields: values of the session's own fields.
    """
    session_id = new_id("cs_test_")
    total = sum(item["amount_total"] for item in items)
    session = _blank() | {
        "id": session_id,
        "amount_subtotal": total,
        "amount_total": total,
        "created": books.now(),
        "currency": items[0]["currency"],
        "expires_at": books.now() + int(LASTS.total_seconds()),
        "url": f"{books.base_url}/c/{session_id}",
    }
    session |= {key: value for key, value in fields.items() if key in session}
    books.sessions[session_id] = session
    books.line_items[session_id] = items
    books.intent_data[session_id] = intent_data
    return session


def _blank() -> Json:
    nothing = (
        "after_expiration", "allow_promotion_codes", "billing_address_collection", "cancel_url",
        "client_reference_id", "client_secret", "collected_information", "consent", "consent_collection",
        "currency_conversion", "customer", "customer_details", "customer_email", "integration_identifier",
        "invoice", "locale", "origin_context", "payment_intent", "payment_link",
        "payment_method_configuration_details", "permissions", "presentment_details", "recovered_from",
        "saved_payment_method_options", "setup_intent", "shipping_address_collection", "shipping_cost",
        "submit_type", "subscription", "success_url", "wallet_options",
    )  # fmt: skip
    return dict.fromkeys(nothing) | {
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": "if_required",
        "discounts": [],
        "invoice_creation": {"enabled": False, "invoice_data": None},
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    }


def open_link(
    books: Books, link: Json, *, client_reference_id: str | None = None, prefilled_email: str | None = None
) -> Json:
    """Make the session that a visit to a link's page makes.

    Raises:
        NotPossibleError: the link is deactivated or was paid as often as it may be.
    """
    if not link["active"]:
        raise NotPossibleError(link["inactive_message"] or "This payment link is no longer active.")
    redirect = link["after_completion"].get("redirect")
    email = prefilled_email or None
    return make_session(
        books,
        books.line_items[link["id"]],
        link["payment_intent_data"] or {},
        payment_link=link["id"],
        metadata=dict(link["metadata"]),
        client_reference_id=client_reference_id,
        customer_creation=link["customer_creation"],
        customer_details={"email": email, "name": None, "phone": None} if email else None,
        success_url=redirect["url"] if redirect else None,
        payment_method_types=link["payment_method_types"] or ["card", "us_bank_account"],
    )


def expire(books: Books, session: Json) -> None:
    """End an open session.

    Raises:
        NotPossibleError: it isn't open.
    """
    if session["status"] != "open":
        raise NotPossibleError(
            f'Only Checkout Sessions with a status in ["open"] can be expired; this one is {session["status"]}.'
        )
    session.update(status="expired", url=None)
    books.emit("checkout.session.expired", session)


def expire_the_old(books: Books) -> None:
    """End the open sessions whose time is over."""
    now = books.now()
    for session in books.sessions.values():
        if session["status"] == "open" and session["expires_at"] <= now:
            expire(books, session)

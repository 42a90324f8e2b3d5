"""Payment links (https://docs.stripe.com/api/payment-link)."""

import stripe.params as declared

from sandbox.stripe.books import Books, Json, find, new_id
from sandbox.stripe.calls import Call, Endpoint
from sandbox.stripe.errors import RefusedError, missing
from sandbox.stripe.line_items import make_line_items
from sandbox.stripe.listing import matching, page
from sandbox.stripe.metadata import merged

# Parameters that mean something that this stand-in would have to play, and doesn't.
NOT_PLAYED = frozenset(
    {
        "application_fee_amount", "application_fee_percent", "managed_payments", "on_behalf_of", "optional_items",
        "shipping_options", "subscription_data", "transfer_data",
    }
)  # fmt: skip
LONGEST_MESSAGE = 500


def _create(books: Books, call: Call) -> Json:
    params = call.params
    _check(params)
    intent_data = params.get("payment_intent_data", {})
    intent_metadata = merged({}, intent_data.get("metadata"), "payment_intent_data[metadata]")
    metadata = merged({}, params.get("metadata"))
    items = make_line_items(books, params["line_items"])
    link_id = new_id("plink_")
    link = _blank(link_id, f"{books.base_url}/pay/{link_id}") | {"currency": items[0]["currency"]}
    link |= {key: value for key, value in params.items() if key in link}
    link |= {"metadata": metadata, "restrictions": _restrictions(params, None)}
    if intent_data:
        link["payment_intent_data"] = _blank_intent_data() | intent_data | {"metadata": intent_metadata}
    books.payment_links[link_id] = link
    books.line_items[link_id] = items
    books.emit("payment_link.created", link)
    return link


def _blank(link_id: str, url: str) -> Json:
    return {
        "id": link_id,
        "object": "payment_link",
        "active": True,
        "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
        "allow_promotion_codes": False,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_address_collection": "auto",
        "consent_collection": None,
        "currency": "usd",
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": "if_required",
        "inactive_message": None,
        "invoice_creation": {"enabled": False, "invoice_data": None},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "payment_intent_data": None,
        "payment_method_collection": "always",
        "payment_method_types": None,
        "phone_number_collection": {"enabled": False},
        "restrictions": None,
        "shipping_address_collection": None,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": None,
        "tax_id_collection": {"enabled": False, "required": "never"},
        "transfer_data": None,
        "url": url,
    }


def _blank_intent_data() -> Json:
    return {
        "capture_method": None,
        "description": None,
        "metadata": {},
        "setup_future_usage": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "transfer_group": None,
    }


def _check(params: Json) -> None:
    for name in sorted(params.keys() & NOT_PLAYED):
        raise RefusedError(f"This stand-in doesn't play {name}.", param=name)
    if len(params.get("inactive_message") or "") > LONGEST_MESSAGE:
        raise RefusedError(
            f"Invalid string: inactive_message can have up to {LONGEST_MESSAGE} characters.",
            param="inactive_message",
        )
    after = params.get("after_completion", {})
    if after.get("type") == "redirect":
        if "redirect" not in after:
            raise missing("after_completion[redirect]")
        if not after["redirect"]["url"].startswith(("https://", "http://")):
            raise RefusedError("Not a valid URL", code="url_invalid", param="after_completion[redirect][url]")


def _restrictions(params: Json, old: Json | None) -> Json | None:
    wanted = params.get("restrictions", old)
    if not wanted:
        return None
    limit = wanted["completed_sessions"]["limit"]
    if limit < 1:
        raise RefusedError(
            "The limit of completed sessions has to be 1 or more.",
            code="parameter_invalid_integer",
            param="restrictions[completed_sessions][limit]",
        )
    count = old["completed_sessions"]["count"] if old else 0
    return {"completed_sessions": {"count": count, "limit": limit}}


def _retrieve(books: Books, call: Call) -> Json:
    return find(books.payment_links, "payment_link", call.object_id)


def _update(books: Books, call: Call) -> Json:
    link, params = _retrieve(books, call), call.params
    _check(params)
    if "line_items" in params:
        raise RefusedError("This stand-in doesn't change a link's quantities.", param="line_items")
    changes = {key: value for key, value in params.items() if key in link}
    if intent_data := params.get("payment_intent_data"):
        old = link["payment_intent_data"] or _blank_intent_data()
        metadata = merged(old["metadata"], intent_data.get("metadata"), "payment_intent_data[metadata]")
        changes["payment_intent_data"] = old | intent_data | {"metadata": metadata}
    changes |= {
        "metadata": merged(link["metadata"], params.get("metadata")),
        "restrictions": _restrictions(params, link["restrictions"]),
        "inactive_message": params.get("inactive_message", link["inactive_message"]) or None,
    }
    books.update("payment_link.updated", link, **changes)
    return link


def _list(books: Books, call: Call) -> Json:
    return page(call, matching(books.payment_links.values(), call.params, ("active",)))


def _list_line_items(books: Books, call: Call) -> Json:
    return page(call, books.line_items[_retrieve(books, call)["id"]][::-1])


ENDPOINTS = [
    Endpoint("POST", "/v1/payment_links", declared.PaymentLinkCreateParams, _create),
    Endpoint("GET", "/v1/payment_links", declared.PaymentLinkListParams, _list),
    Endpoint("GET", "/v1/payment_links/{id}", declared.PaymentLinkRetrieveParams, _retrieve),
    Endpoint("POST", "/v1/payment_links/{id}", declared.PaymentLinkUpdateParams, _update),
    Endpoint(
        "GET", "/v1/payment_links/{id}/line_items", declared.PaymentLinkListLineItemsParams, _list_line_items
    ),
]

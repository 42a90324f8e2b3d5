"""PaymentIntents and charges as objects (https://docs.stripe.com/api/payment_intents, …/api/charges)."""

from sandbox.stripe.books import Books, Json, new_id


def make_payment_intent(books: Books, session: Json, data: Json) -> Json:
    """Make the PaymentIntent of a session from its `payment_intent_data`."""
    intent_id = new_id("pi_")
    nothing = (
        "application", "application_fee_amount", "canceled_at", "cancellation_reason", "customer",
        "customer_account", "excluded_payment_method_types", "last_payment_error", "latest_charge",
        "next_action", "on_behalf_of", "payment_method", "payment_method_configuration_details",
        "processing", "review", "source", "transfer_data",
    )  # fmt: skip
    intent: Json = dict.fromkeys(nothing) | {
        "id": intent_id,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "automatic_payment_methods": None,
        "capture_method": data.get("capture_method") or "automatic_async",
        "client_secret": f"{intent_id}_secret_{new_id('')}",
        "confirmation_method": "automatic",
        "created": books.now(),
        "currency": session["currency"],
        "description": data.get("description"),
        "livemode": False,
        "metadata": dict(data.get("metadata") or {}),
        "payment_method_options": {},
        "payment_method_types": list(session["payment_method_types"]),
        "receipt_email": data.get("receipt_email"),
        "setup_future_usage": data.get("setup_future_usage"),
        "shipping": data.get("shipping"),
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_group": data.get("transfer_group"),
    }
    books.payment_intents[intent_id] = intent
    return intent


def make_charge(books: Books, intent: Json, payer: Json, status: str) -> Json:
    """Make a charge of the whole intent; `status` is `succeeded`, `pending` or `failed`."""
    charge_id = new_id("ch_")
    nothing = (
        "application", "application_fee", "application_fee_amount", "balance_transaction", "failure_code",
        "failure_balance_transaction", "failure_message", "on_behalf_of", "receipt_number", "review",
        "shipping", "source", "source_transfer", "statement_descriptor", "transfer_data", "transfer_group",
    )  # fmt: skip
    method = intent["payment_method_types"][0]
    charge: Json = dict.fromkeys(nothing) | {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if status == "succeeded" else 0,
        "amount_refunded": 0,
        "billing_details": payer | {"tax_id": None},
        "calculated_statement_descriptor": None,
        "captured": status != "failed",
        "created": books.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": None,
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {"type": method, method: {}},
        "receipt_email": intent["receipt_email"],
        "receipt_url": None,
        "refunded": False,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
    }
    intent["latest_charge"] = charge_id
    books.charges[charge_id] = charge
    return charge

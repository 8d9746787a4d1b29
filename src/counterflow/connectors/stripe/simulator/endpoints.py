"""The endpoints, as one table."""

from typing import Any

from counterflow.connectors.stripe.simulator import refunds
from counterflow.connectors.stripe.simulator.account import Account
from counterflow.connectors.stripe.simulator.errors import StripeError, invalid, missing
from counterflow.connectors.stripe.simulator.lists import PAGING, expanded, integer, page, since, view
from counterflow.connectors.stripe.simulator.requests import Call, Endpoint
from counterflow.sdk.simulator import Doc

EVENTS_KEPT_DAYS = 30
_METADATA_KEYS_MAX, _METADATA_NAME_MAX, _METADATA_VALUE_MAX = 50, 40, 500


def create_refund(call: Call) -> Doc:
    params, account = call.params, call.account
    call.only("charge", "payment_intent", "amount", "reason", "metadata", "instructions_email")
    named = [name for name in ("charge", "payment_intent") if params.get(name)]
    if not named:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing")
    if len(named) == 2:
        raise invalid("You may only specify one of these parameters: charge, payment_intent.", param="charge")
    amount = integer(params, "amount")
    if params.get("reason", "requested_by_customer") not in refunds.REASONS:
        message = "Invalid reason: must be one of duplicate, fraudulent, or requested_by_customer"
        raise invalid(message, param="reason")
    wanted: Doc = {named[0]: params[named[0]], "metadata": _metadata(params) or {}}
    wanted |= {name: params[name] for name in ("reason", "instructions_email") if name in params}
    if amount is not None:
        wanted["amount"] = amount
    broke = account.world.take_fault("insufficient_funds", "POST /v1/refunds") is not None
    return _one(call, refunds.create(account, wanted, call.cause, broke=broke))


def update_refund(call: Call) -> Doc:
    call.only("metadata")
    refund, metadata = _named(call, "re"), _metadata(call.params)
    if metadata is not None:
        refunds.write_metadata(call.account, refund, metadata, call.cause)
    return _one(call, refund)


def cancel_refund(call: Call) -> Doc:
    call.only()
    return _one(call, refunds.cancel(call.account, _named(call, "re"), call.cause))


def list_refunds(call: Call) -> Doc:
    return _filtered(call, "re", "charge", "payment_intent")


def list_charge_refunds(call: Call) -> Doc:
    call.only(*PAGING)
    charge = _named(call, "ch")
    return page(call, "refund", call.account.of("re", charge=charge["id"]), f"/v1/charges/{charge['id']}/refunds")


def list_charges(call: Call) -> Doc:
    return _filtered(call, "ch", "payment_intent", "customer")


def list_payment_intents(call: Call) -> Doc:
    return _filtered(call, "pi", "customer")


def list_disputes(call: Call) -> Doc:
    return _filtered(call, "dp", "charge", "payment_intent")


def list_payouts(call: Call) -> Doc:
    return _filtered(call, "po", "status")


def list_transactions(call: Call) -> Doc:
    """The members of a payout include its own line; only automatic payouts know theirs."""
    call.only(*PAGING, "payout", "source", "type", "currency")
    docs = call.account.of("txn", **_wanted(call, "source", "type", "currency"))
    if payout_id := call.params.get("payout"):
        payout = call.account.find(payout_id)
        if payout is None or payout["object"] != "payout":
            raise missing("payout", payout_id, param="payout")
        if not payout["automatic"]:
            message = "Balance transaction history can only be filtered on automatic transfers, not manual."
            raise StripeError(message, param="payout")
        docs = [doc for doc in docs if doc["_payout"] == payout_id]
    return page(call, "balance_transaction", docs, "/v1/balance_transactions")


def list_events(call: Call) -> Doc:
    call.only(*PAGING, "type", "types", "delivery_success")
    account = call.account
    docs = since(account, account.of("evt"), EVENTS_KEPT_DAYS)
    types = call.params.get("types") or [call.params.get("type")]
    if types != [None]:
        docs = [doc for doc in docs if any(_fits(doc["type"], str(wanted)) for wanted in types)]
    if "delivery_success" in call.params:
        undelivered = _undelivered(account)
        wanted = call.params["delivery_success"] == "true"
        docs = [doc for doc in docs if (doc["id"] not in undelivered) == wanted]
    return page(call, "event", docs, "/v1/events")


def get_event(call: Call) -> Doc:
    event = _named(call, "evt")
    if not since(call.account, [event], EVENTS_KEPT_DAYS):
        raise missing("event", event["id"], param="id", status=404)
    return _one(call, event)


def _get(prefix: str) -> Endpoint:
    def get(call: Call) -> Doc:
        call.only()
        return _one(call, _named(call, prefix))

    return get


ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/refunds"): create_refund,
    ("GET", "/v1/refunds"): list_refunds,
    ("GET", "/v1/refunds/{id}"): _get("re"),
    ("POST", "/v1/refunds/{id}"): update_refund,
    ("POST", "/v1/refunds/{id}/cancel"): cancel_refund,
    ("GET", "/v1/charges"): list_charges,
    ("GET", "/v1/charges/{id}"): _get("ch"),
    ("GET", "/v1/charges/{id}/refunds"): list_charge_refunds,
    ("GET", "/v1/payment_intents"): list_payment_intents,
    ("GET", "/v1/payment_intents/{id}"): _get("pi"),
    ("GET", "/v1/disputes"): list_disputes,
    ("GET", "/v1/disputes/{id}"): _get("dp"),
    ("GET", "/v1/balance_transactions"): list_transactions,
    ("GET", "/v1/balance_transactions/{id}"): _get("txn"),
    ("GET", "/v1/payouts"): list_payouts,
    ("GET", "/v1/payouts/{id}"): _get("po"),
    ("GET", "/v1/events"): list_events,
    ("GET", "/v1/events/{id}"): get_event,
}

_KINDS = {
    "re": "refund",
    "ch": "charge",
    "pi": "payment_intent",
    "dp": "dispute",
    "txn": "balance_transaction",
    "po": "payout",
    "evt": "event",
}


def _named(call: Call, prefix: str) -> Doc:
    found = call.account.find(call.path["id"])
    if found is None or found["object"] != _KINDS[prefix]:
        raise missing(_KINDS[prefix], call.path["id"], param="id", status=404)
    return found


def _one(call: Call, doc: Doc) -> Doc:
    return expanded(call, view(call.account, doc))


def _wanted(call: Call, *names: str) -> dict[str, Any]:
    return {name: call.params[name] for name in names if name in call.params}


def _filtered(call: Call, prefix: str, *names: str) -> Doc:
    call.only(*PAGING, *names)
    kind = _KINDS[prefix]
    return page(call, kind, call.account.of(prefix, **_wanted(call, *names)), f"/v1/{kind}s")


def _fits(type: str, wanted: str) -> bool:
    return type.startswith(wanted[:-1]) if wanted.endswith(".*") else type == wanted


def _undelivered(account: Account) -> set[str]:
    """Events that no endpoint has taken; what got lost behind an endpoint that had answered 2xx is not among them."""
    waiting = {payload["label"].split()[-1] for _, payload in account.world.planned("_deliver") if payload["label"]}
    ended = [doc for doc in account.world.all("_webhooks") if doc["label"]]
    given_up = {doc["label"].split()[-1] for doc in ended if doc["state"] == "given_up"}
    delivered = {doc["label"].split()[-1] for doc in ended if doc["state"] in ("delivered", "lost")}
    return (waiting | given_up) - delivered


def _metadata(params: Doc) -> Doc | None:
    metadata: Doc | str | None = params.get("metadata")
    if metadata is None:
        return None
    if metadata == "":
        return {}
    if isinstance(metadata, str):
        raise invalid("Invalid object", param="metadata")
    if len(metadata) > _METADATA_KEYS_MAX:
        raise invalid(f"You can specify up to {_METADATA_KEYS_MAX} metadata keys.", param="metadata")
    for name, value in metadata.items():
        if len(name) > _METADATA_NAME_MAX or not isinstance(value, str) or len(value) > _METADATA_VALUE_MAX:
            message = (
                f"Metadata keys can have up to {_METADATA_NAME_MAX} characters"
                f" and metadata values up to {_METADATA_VALUE_MAX}: {name[:_METADATA_NAME_MAX]}"
            )
            raise invalid(message, param=f"metadata[{name[:_METADATA_NAME_MAX]}]")
    return metadata

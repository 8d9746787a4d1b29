"""The simulator's objects, field by field, against Stripe's published specification (the cut of API 2023-10-16)."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from counterflow.connectors.stripe import conformance
from counterflow.sdk.simulator import Doc

SHARED = Path(os.environ.get("COUNTERFLOW_SHARED", Path(__file__).parents[3] / ".." / "shared"))
SPLIT = SHARED / "data" / "specs" / "stripe" / "split"
KINDS = {  # object -> (file, collection of the simulator)
    "refund": ("refunds", "refunds"),
    "payout": ("payouts", "payouts"),
    "dispute": ("disputes", "disputes"),
    "charge": ("charges", "charges"),
    "balance_transaction": ("balance-transactions", "balance_transactions"),
    "event": ("events", "events"),
}
# Fields that this version required and the simulator leaves out: nothing of ours asks for them.
LEFT_OUT = {"dispute": {"evidence"}}


@cache
def schema(kind: str) -> Doc:
    path = SPLIT / f"{KINDS[kind][0]}.yml"
    if not path.is_file():
        pytest.skip(f"set COUNTERFLOW_SHARED to the folder that holds data/specs/stripe/split/{path.name}")
    whole = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    found: Doc = _plain(whole["components"]["schemas"][kind])
    return found


def _plain(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` is a type, and what another file holds is anything."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {}
    kept = {name: _plain(value) for name, value in node.items() if not name.startswith("x-")}
    return {"anyOf": [kept, {"type": "null"}]} if kept.pop("nullable", False) is True else kept


async def account() -> conformance.Harness:
    """An account in which everything has happened once."""
    stripe = conformance.Harness()
    for method in ("card", "sepa_debit", "konbini", "pm_card_refundFail"):
        paid = await stripe.act("pay", amount_minor=60_00, currency="eur", payment_method=method, email="a@example.com")
        await stripe.act("refund_in_dashboard", payment_intent=paid["payment_intent"], amount_minor=10_00)
    paid = await stripe.act("pay", amount_minor=60_00, currency="eur")
    dispute = (await stripe.act("open_dispute", payment_intent=paid["payment_intent"]))["dispute"]
    await stripe.act("close_dispute", dispute=dispute, won=True)
    [payout] = (await stripe.act("make_payout", pending_too=True))["payouts"]
    stripe.clock.advance(9 * 86_400)
    await stripe.act("fail_payout", payout=payout["id"])
    return stripe


@pytest.mark.parametrize("kind", KINDS)
async def test_every_field_has_the_type_that_stripe_publishes(kind: str) -> None:
    told = schema(kind)
    docs = (await account()).world.all(KINDS[kind][1])
    assert docs
    checked = 0
    for doc in docs:
        missing = set(told["required"]) - doc.keys() - LEFT_OUT.get(kind, set())
        assert not missing, f"{kind} lacks {', '.join(sorted(missing))}"
        for name, value in doc.items():
            if name in told["properties"]:
                errors = list(Draft202012Validator(told["properties"][name]).iter_errors(value))
                assert not errors, f"{kind}.{name}: {errors[0].message}"
                checked += 1
    assert checked > 5 * len(docs)


def test_the_comparison_can_say_no() -> None:
    amount = schema("refund")["properties"]["amount"]
    assert list(Draft202012Validator(amount).iter_errors("10.00"))

"""Whatever a site sends, it becomes facts or is Malformed, the same each time, and never crashes the sweep."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.connectors.pos.manifest import PosConfig
from counterflow.connectors.pos.mapping import Translation as OfTill
from counterflow.connectors.warehouse.manifest import WarehouseConfig
from counterflow.connectors.warehouse.mapping import Translation as OfWarehouse
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Malformed
from counterflow.sdk.site import facts_of
from counterflow.store.codec import decode_fact, encode, fact_values

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG: dict[str, Any] = {"base_url": "http://site.test", "token": "t", "webhook_secret": "whsec_c2VjcmV0"}
TABLES = {**OfWarehouse(WarehouseConfig(**CONFIG)).events, **OfTill(PosConfig(**CONFIG)).events}
_LINE = {"sku": "A", "barcode": "B", "quantity": 1, "serial": "S", "lot": "L", "line_ref": "1", "condition": "ok"}
_SAID = {"order_number": "#1", "rma_number": "R", "occurred_at": "2026-03-01T09:00:00Z", "key": "ef_1"}
_SEEN = {**_LINE, "inspection_id": "I", "grade": "A", "findings": [{"code": "worn"}], "store": "s", "site": "s"}
_PAID = {"refund_id": "F", "method": "cash", "amount_minor": 1, "currency": "EUR", "sale_id": "S", "reason": "r"}
_SOLD = {**_LINE, "unit_price_minor": 1, "taxes": [{"code": "T", "rate_ppm": 1, "amount_minor": 0}]}
_GOOD: dict[str, dict[str, Any]] = {
    "return.requested": {"return_id": "N", "lines": [_LINE], "sale_id": "S", "authorised": True},
    "return.received": {"receipt_id": "R", "store": "s", "site": "s", "lines": [_LINE], "complete": True},
    "return.inspected": _SEEN,
    "refund.paid": _PAID,
    "refund.failed": _PAID,
    "sale.recorded": {"sale_id": "S", "currency": "EUR", "lines": [_SOLD], "tenders": [_PAID]},
    "disposition.executed": {**_LINE, "site": "s", "disposition": "restock"},
    "parcel.scanned": {"tracking_number": "T", "status": "delivered", "reason": "lost"},
}
_ALL: tuple[dict[str, Any], ...] = (_LINE, _SAID, _SEEN, _PAID, _SOLD, *_GOOD.values())
NAMES = sorted({name for doc in _ALL for name in doc})


text = st.text(st.characters(), max_size=8) | st.sampled_from(
    [
        "A",
        "EUR",
        "cash",
        "restock",
        "lost",
        "2026-03-01T09:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "\ud800",
        "\x00",
        "x" * 501,
    ]
)
scalar = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | text | st.integers(0, 3)
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
)
spoilt = st.dictionaries(st.sampled_from(NAMES), value, max_size=3)
line = st.dictionaries(st.sampled_from(NAMES), value, max_size=2)


@given(st.sampled_from(sorted(TABLES)), spoilt, line)
def test_anything_becomes_facts_or_is_malformed(kind: str, spoilt: dict[str, Any], line: dict[str, Any]):
    """A good event of every kind, with some of its fields spoilt."""
    data = {**_SAID, **_GOOD[kind], **spoilt}
    if isinstance(data.get("lines"), list):
        data["lines"] = [{**row, **line} if isinstance(row, dict) else row for row in data["lines"]]
    doc = {"id": "evt_1", "type": kind, "timestamp": "2026-03-01T09:00:00Z", "data": data}
    try:
        facts = facts_of("till", "1", doc, NOW, TABLES)
    except Malformed:
        return
    assert facts == facts_of("till", "1", json.loads(json.dumps(doc)), NOW, TABLES)
    for fact in facts:
        assert fact.refs and all(":" in ref and not ref.endswith(":") for ref in fact.refs)
        assert fact.occurred_at <= fact.seen_at
        assert decode_fact(encode(fact_values(fact))) == fact


def test_the_good_events_are_good():
    assert _GOOD.keys() == TABLES.keys()
    for kind, data in _GOOD.items():
        doc = {"id": "evt_1", "type": kind, "timestamp": "2026-03-01T09:00:00Z", "data": {**_SAID, **data}}
        assert len(facts_of("till", "1", doc, NOW, TABLES)) == 1, kind


@pytest.mark.parametrize("doc", [None, [], "x", 7, {}, {"type": "return.received"}, {"type": []}])
def test_what_is_no_event_is_malformed(doc: object):
    with pytest.raises(Malformed):
        facts_of("till", "1", doc, NOW, TABLES)


def test_an_error_shows_where_and_what_and_not_too_much_of_it():
    row = Fields({"lines": [{"sku": "x" * 1000}]}, "data").rows("lines")[0]
    with pytest.raises(Malformed) as caught:
        row.text("sku")
    assert caught.value.field == "data.lines[0].sku" and len(caught.value.message) < 200

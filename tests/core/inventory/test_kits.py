"""Kits: whole, in parts, and what their line shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.inventory import delivered_ppm, explode
from counterflow.core.refunds import ReturnedItem, entitle
from counterflow.core.sale import KitPart, SoldLine
from tests.core.refunds.factory import a_line, a_sale

CAMERA = SoldLine(
    "kit", "camera-set", 2, 2, 10_000, 20_000, kit=(KitPart("body", 1, 6000, "serial"), KitPart("cap", 2, 4000))
)


def test_edge_015_a_part_that_is_back_leaves_a_fraction_delivered() -> None:
    assert delivered_ppm(CAMERA, {}) == 2_000_000
    assert delivered_ppm(CAMERA, {"body": 1}) == 1_400_000
    assert delivered_ppm(CAMERA, {"cap": 1}) == 1_800_000
    assert delivered_ppm(CAMERA, {"body": 2, "cap": 4}) == 0


def test_edge_015_the_fraction_times_the_price_is_what_the_customer_keeps() -> None:
    owed = entitle(a_sale(CAMERA), [ReturnedItem("kit", 0, "body"), ReturnedItem("kit", 1, "cap", 1)])
    kept = delivered_ppm(CAMERA, {"body": 1, "cap": 1}) * CAMERA.unit_price_minor // 1_000_000
    assert owed.total_minor == CAMERA.paid_minor - kept


def test_edge_016_parts_are_those_of_the_sale() -> None:
    assert [(need.sku, need.part_piece, need.tracking) for need in explode(CAMERA, 1)] == [
        ("body", 0, "serial"),
        ("cap", 0, "none"),
        ("cap", 1, "none"),
    ]
    (plain,) = explode(a_line("tee"), 0)
    assert (plain.sku, plain.part_sku) == ("sku-tee", "")


def test_more_parts_than_were_delivered_are_refused_with_the_next_move() -> None:
    with pytest.raises(ValueError, match="match the extra ones first"):
        delivered_ppm(CAMERA, {"body": 3})
    with pytest.raises(ValueError, match="match the extra ones first"):
        delivered_ppm(a_line("tee"), {"sku-tee": 2})


def test_without_frozen_shares_parts_count_by_number() -> None:
    line = SoldLine("kit", "set", 1, 1, 900, 900, kit=(KitPart("a", 1, 0), KitPart("b", 2, 0)))
    assert delivered_ppm(line, {"b": 1}) == 1_000_000 - 333_333


@given(st.integers(0, 2), st.integers(0, 4))
def test_a_further_part_never_raises_what_is_delivered(bodies: int, caps: int) -> None:
    now = delivered_ppm(CAMERA, {"body": bodies, "cap": caps})
    assert 0 <= now <= 2_000_000
    if caps < 4:
        assert delivered_ppm(CAMERA, {"body": bodies, "cap": caps + 1}) < now

"""The physical pieces of a kit."""

from counterflow.core.inventory import explode
from counterflow.core.sale import KitPart, SoldLine
from tests.core.refunds.factory import a_line

CAMERA = SoldLine(
    "kit", "camera-set", 2, 2, 10_000, 20_000, kit=(KitPart("body", 1, 6000, "serial"), KitPart("cap", 2, 4000))
)


def test_edge_016_parts_are_those_of_the_sale() -> None:
    assert [(need.sku, need.part_piece, need.tracking) for need in explode(CAMERA, 1)] == [
        ("body", 0, "serial"),
        ("cap", 0, "none"),
        ("cap", 1, "none"),
    ]
    (plain,) = explode(a_line("tee"), 0)
    assert (plain.sku, plain.part_sku) == ("sku-tee", "")

"""An answer that has gone out is kept, whoever asked (domain.md: a later fact never worsens a running case)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from counterflow.core.facts import ReturnRequested, SaleRecorded
from tests.core.returns.telling import START, Story, wanted


@pytest.mark.parametrize("connection", ["shop", "console:kim"])
def test_a_corrected_delivery_date_does_not_take_an_approval_back(connection: str) -> None:
    story = Story()
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(),)), connection)
    story.settle()
    assert story.view.lines[0].authorisation == "approved"
    ordered = START - timedelta(days=900)
    late = replace(story.sale, version=9, ordered_at=ordered, delivered_at=ordered + timedelta(days=9))
    story.tell(SaleRecorded(late), "shop")
    assert story.view.lines[0].authorisation == "approved"
    story.receive().settle().inspect().settle()
    assert story.paid() > 0

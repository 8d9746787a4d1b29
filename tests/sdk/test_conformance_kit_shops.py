"""A shop whose sales and returns cannot meet is found: each mistake alone, in a connector careful in all else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from counterflow.connectors.medusa import connector
from counterflow.connectors.medusa.conformance import Harness
from counterflow.connectors.medusa.connector import Medusa
from counterflow.core.facts import Fact, ReturnRequested, SaleRecorded
from counterflow.sdk.connector import Context
from counterflow.sdk.testing.check import cases

RETURN, SALE = "a_return_is_told_over_its_sale[returns]", "a_sale_is_told_by_its_name[ReadSale]"


def asked(change: Callable[[Fact, ReturnRequested], Fact]) -> Callable[[Fact], Fact]:
    return lambda fact: change(fact, fact.body) if isinstance(fact.body, ReturnRequested) else fact


def line_of(fact: Fact, body: ReturnRequested, **changes: Any) -> Fact:
    return replace(fact, body=replace(body, lines=tuple(replace(line, **changes) for line in body.lines)))


def unsold(body: ReturnRequested) -> ReturnRequested:
    return replace(body, sale_ref="1001")


def named(fact: Fact, sale_ref: str) -> Fact:
    """The sale under another name in its body."""
    body = fact.body
    return (
        replace(fact, body=SaleRecorded(replace(body.sale, sale_ref=sale_ref)))
        if isinstance(body, SaleRecorded)
        else fact
    )


# What is wrong, how, the check that finds it, and what it says.
MISTAKES: list[tuple[str, Callable[[Fact], Fact], str, str]] = [
    ("its own name is left out", lambda fact: replace(fact, refs=(f"x{fact.refs[0]}",)), RETURN, "lack its"),
    ("its lines are unknown", asked(lambda fact, body: line_of(fact, body, line_ref="1")), RETURN, "no line "),
    ("it asks for nothing", asked(lambda fact, body: replace(fact, body=replace(body, lines=()))), RETURN, "no line"),
    ("its reason is its own word", asked(lambda fact, body: line_of(fact, body, reason="meh")), RETURN, "to 'other'"),
    ("its sale is no reference", asked(lambda fact, body: replace(fact, body=unsold(body))), RETURN, "SaleRecorded of"),
    ("the sale has another name", lambda fact: named(fact, "here:sale:1"), SALE, "calls itself"),
    ("the sale is not known by it", lambda fact: replace(fact, refs=("order:#1",)), SALE, "SaleRecorded of"),
]  # fmt: skip


def run(wanted: str, change: Callable[[Fact], Fact | None]) -> None:
    class Mistaken(Medusa):
        async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
            return [fact for each in await super().fetch(feed, ref) if (fact := change(each)) is not None]

    class Maker:
        manifest, Config = connector.manifest, connector.Config

        def make(self, config: Any, context: Context) -> Medusa:
            return Mistaken(config, context)

    class Mutant(Harness):
        maker = Maker()

    [case] = [case for case in cases(connector.manifest) if str(case) == wanted]
    asyncio.run(case.run(Mutant()))


@pytest.mark.parametrize(("change", "wanted", "said"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_the_mistake_is_found(change: Callable[[Fact], Fact], wanted: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        run(wanted, change)


@pytest.mark.parametrize("kind", [ReturnRequested, SaleRecorded])
def test_a_shop_that_keeps_it_to_itself_is_found(kind: type) -> None:
    with pytest.raises(AssertionError):
        run(RETURN, lambda fact: None if isinstance(fact.body, kind) else fact)


@pytest.mark.parametrize("wanted", [RETURN, SALE])
def test_a_careful_shop_is_not_blamed(wanted: str) -> None:
    run(wanted, lambda fact: fact)

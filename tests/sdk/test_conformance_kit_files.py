"""The kit can tell a careful reader of files from a careless one: each mistake fails the check that is about it."""

import asyncio
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from counterflow.core.facts import BankLineBooked, Fact
from counterflow.core.ids import fact_id
from counterflow.sdk.connector import ConnectorConfig, Context, Delivery, Page, Signal
from counterflow.sdk.manifest import Feed, Manifest
from counterflow.sdk.outcomes import Malformed
from counterflow.sdk.reading import reading
from counterflow.sdk.simulator import World
from counterflow.sdk.testing import File, Harness
from counterflow.sdk.testing.check import CHECKS, POINTS, Case, all_checks

STATEMENT = (
    b"date,reference,amount,currency\n2026-03-01,PO-1,1990,EUR\n2026-03-02,PO-2,500,EUR\n2026-03-03,PO-3,750,EUR\n"
)
GERMAN = STATEMENT.replace(b"date,reference,amount,currency", b"Datum,Referenz,Betrag,W\xc3\xa4hrung")
NAMES = {"Datum": "date", "Referenz": "reference", "Betrag": "amount", "Währung": "currency"}
SHELF: dict[str, bytes] = {}


@dataclass
class Reader:
    """Reads statements off a shelf."""

    connection: str
    manifest: ClassVar[Manifest] = Manifest("shelf", "Shelf", (), feeds=(Feed("lines", files=True),))

    def verify(self, delivery: Delivery) -> None:
        """Nothing is delivered."""

    def identify(self, delivery: Delivery) -> str:
        return ""

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return []

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        text = self.decoded(SHELF[ref])
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        if not rows:
            raise Malformed(f"{ref} is empty")
        names = self.names(rows[0])
        if lost := {"date", "reference", "amount", "currency"} - set(names):
            raise Malformed(f"{ref} has no column {', '.join(sorted(lost))}")
        return [self.fact(dict(zip(names, row, strict=False))) for row in self.whole(rows, text)[1:]]

    def decoded(self, body: bytes) -> str:
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Malformed("no text") from None

    def names(self, header: list[str]) -> list[str]:
        return [NAMES.get(name, name) for name in header]

    def whole(self, rows: list[list[str]], text: str) -> list[list[str]]:
        """All rows, if the last one is whole: every row has all cells, and a currency has three letters."""
        if any(len(row) != len(rows[0]) for row in rows) or len(rows[-1][self.names(rows[0]).index("currency")]) != 3:
            raise Malformed("the file ends in the middle of a row")
        return rows

    def fact(self, row: dict[str, str]) -> Fact:
        at = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
        ref = f"{self.connection}:line:{row['reference']}"
        body = BankLineBooked(ref, int(row["amount"]), row["currency"], row["reference"], row["date"])
        return Fact(self.id_of(ref, row), self.connection, at, at, (ref,), body, adapter="1")

    def id_of(self, ref: str, row: dict[str, str]) -> str:
        return fact_id(self.connection, "BankLineBooked", ref, f"{row['date']}/{row['amount']}/{row['currency']}")

    async def pull(self, feed: str, cursor: str) -> Page:
        return Page((), cursor, False)

    async def aclose(self) -> None:
        """Nothing is open."""


class ByPosition(Reader):
    def names(self, header: list[str]) -> list[str]:
        return ["date", "reference", "amount", "currency", *header[4:]]


class EnglishOnly(Reader):
    def names(self, header: list[str]) -> list[str]:
        return header


class KeepsTheMark(Reader):
    def decoded(self, body: bytes) -> str:
        return body.decode("utf-8", "replace")


class TakesHalf(Reader):
    def whole(self, rows: list[list[str]], text: str) -> list[list[str]]:
        return [row for row in rows if len(row) == len(rows[0])]


class EmptyIsNothing(Reader):
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return await super().fetch(feed, ref) if SHELF[ref] else []


class CountsReads(Reader):
    def id_of(self, ref: str, row: dict[str, str]) -> str:
        READS.append(ref)
        return fact_id(self.connection, "BankLineBooked", ref, str(len(READS)))


class ByReference(Reader):
    def id_of(self, ref: str, row: dict[str, str]) -> str:
        return fact_id(self.connection, "BankLineBooked", ref, "")


READS: list[str] = []


class FailsOnACell(Reader):
    fetch = Reader.fetch.__wrapped__  # type: ignore[attr-defined]


MISTAKES = [
    (ByPosition, "columns_in_any_order"),
    (EnglishOnly, "headers_of_another_language"),
    (KeepsTheMark, "marks_and_line_ends"),
    (TakesHalf, "half_a_file"),
    (EmptyIsNothing, "no_file_at_all"),
    (CountsReads, "a_file_twice"),
    (ByReference, "a_corrected_file"),
    (FailsOnACell, "a_spoiled_file"),
]


def harness_for(made: type[Reader]) -> Harness:
    class Maker:
        manifest = made.manifest
        Config = ConnectorConfig

        def make(self, config: Any, context: Context) -> Any:
            return made(context.connection)

    class Shelf(Harness):
        maker = Maker()
        config: ClassVar[dict[str, Any]] = {}

        def simulator(self, world: World, webhook_url: str) -> ASGIApp:
            return Starlette()

        async def file(self, feed: str) -> File:
            SHELF["march"] = STATEMENT
            return File("march", STATEMENT, localised=GERMAN, corrected=STATEMENT.replace(b"750", b"751"))

        async def replace_file(self, name: str, body: bytes) -> None:
            SHELF[name] = body

    return Shelf()


def run(made: type[Reader], name: str) -> None:
    [check] = [each for each in all_checks() if each.name == name]
    asyncio.run(Case(check, "lines").run(harness_for(made)))


@pytest.mark.parametrize("name", [each.name for each in all_checks() if each.point == 27])
def test_a_careful_reader_passes(name: str) -> None:
    run(Reader, name)


@pytest.mark.parametrize(("made", "name"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_a_careless_reader_is_found(made: type[Reader], name: str) -> None:
    with pytest.raises((AssertionError, Malformed)):  # both fail the connector
        run(made, name)


def test_every_point_has_a_check_and_every_check_a_point() -> None:
    assert {each.point for each in all_checks()} == set(POINTS) == set(range(1, 29))
    assert len({each.name for each in CHECKS}) == len(CHECKS)

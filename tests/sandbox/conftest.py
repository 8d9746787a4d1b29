"""The demo's world, played once for all tests of its stories: what it said, and what it left in every system."""

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from counterflow.core.effects import Effect
from counterflow.core.returns.case import View
from counterflow.sandbox.demo import Report, play
from counterflow.sandbox.soak import doubled, lost
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories import STORIES
from counterflow.sandbox.town import SEED, open_town
from counterflow.store import log
from counterflow.store.codec import decode, decode_log, encode

TRUTHS = (
    ("psp", "refunds"),
    ("mail", "messages"),
    ("wms", "announcements"),
    ("wms", "instructions"),
    ("wms", "executions"),
    ("shop", "orders"),
    ("shop", "returns"),
    ("shop", "gift_cards"),
    ("shop", "store_credit"),
    ("shop", "_webhooks"),
)
Docs = list[dict[str, Any]]


@dataclass(frozen=True)
class Told:
    """One story: its case, the effects that were decided for it, and what the outside systems hold of it."""

    view: View
    effects: tuple[Effect, ...]
    refunds: Docs
    messages: Docs
    instructions: Docs
    documents: Docs  # in the ERP

    def decided(self, kind: str) -> list[Effect]:
        return [effect for effect in self.effects if effect.kind == kind]

    def refunded(self, status: str = "succeeded") -> list[int]:
        return sorted(row["amount"] for row in self.refunds if row["status"] == status)

    def written(self) -> list[str]:
        """The templates of the messages to the customer, in their order."""
        return [row["data"]["template"] for row in self.messages]

    def posted(self, model: str, move_type: str = "") -> list[float]:
        found = [d for d in self.documents if d["model"] == model and (not move_type or d["move_type"] == move_type)]
        return sorted(d["amount"] or 0 for d in found if d["state"] not in ("draft", "cancel", "canceled"))


@dataclass(frozen=True)
class World:
    report: Report
    told: dict[str, Told]
    truths: dict[str, Docs]
    books: dict[str, Any]
    lost: list[str]
    doubled: list[str]

    def stock(self, location: str, sku: str) -> int:
        rows = [row for row in self.books["stock"] if (row["location"], row["sku"]) == (location, sku)]
        return round(sum(float(row["quantity"]) for row in rows))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every story at once with duplicates, jitter and reordering on; COUNTERFLOW_SANDBOX_SEED is another chaos."""
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    return asyncio.run(_played(tmp_path_factory.mktemp("demo"), int(os.environ.get("COUNTERFLOW_SANDBOX_SEED", SEED))))


async def _played(home: Path, seed: int) -> World:
    started = time.monotonic()
    async with open_town(home, seed=seed) as (_, stage):
        report = await play(stage, STORIES, started)
        truths = {f"{system}/{name}": await _get(stage, f"/{system}/_sim/truth/{name}") for system, name in TRUTHS}
        books = await _get(stage, "/odoo/_sim/books")
        told = {each.name: await _told(stage, each.cases, truths, books) for each in report.stories if each.cases}
        return World(report, told, truths, books, await lost(stage), await doubled(stage))


async def _told(stage: Stage, cases: list[str], truths: dict[str, Docs], books: dict[str, Any]) -> Told:
    (case_id,) = cases
    ((view,),) = await stage.rows("SELECT view FROM cases WHERE case_id = %s", case_id)
    case = decode(View, encode(view))
    async with stage.pool.connection() as conn:
        rows = [decode_log(body) for body in (await log.bodies(conn, [case_id]))[case_id]]
    effects = tuple(effect for row in rows for effect in row.effects)
    keys = {effect.effect_id for effect in effects}
    ours = {posting.document_ref.rpartition(":")[2] for posting in case.postings}
    paid = {leg.payment_ref.rpartition(":")[2] for leg in case.legs}
    return Told(
        case,
        effects,
        [row for row in truths["psp/refunds"] if row["payment_intent"] in paid],
        [row for row in truths["mail/messages"] if row["data"]["case"] == case_id],
        [row for row in truths["wms/instructions"] if row["key"] in keys],
        [row for row in books["documents"] if f"{row['model']},{row['id']}" in ours],
    )


async def _get(stage: Stage, path: str) -> Any:
    answer = await stage.outside.get(path)
    answer.raise_for_status()
    return answer.json()

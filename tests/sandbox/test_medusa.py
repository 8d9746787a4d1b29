"""Whole stories with a real Medusa as the shop: worker, API and database as ever, all other systems simulated."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from counterflow.sandbox.demo import Report, play
from counterflow.sandbox.soak import doubled, lost
from counterflow.sandbox.stories import MEDUSA_STORIES
from counterflow.sandbox.town import open_town
from tests.counterparts.medusa.server import Server


@pytest.fixture(scope="module")
def played(medusa_server: Server, tmp_path_factory: pytest.TempPathFactory) -> "Played":
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("url", "email", "password"):
            patch.setenv(f"COUNTERFLOW_SANDBOX_MEDUSA_{name.upper()}", getattr(medusa_server, name))
        return asyncio.run(_played(tmp_path_factory.mktemp("medusa-town")))


Played = tuple[Report, list[dict[str, Any]], list[str], list[str]]


async def _played(home: Path) -> Played:
    started = time.monotonic()
    async with open_town(home) as (_, stage):
        report = await play(stage, MEDUSA_STORIES, started)
        orders = (await stage.outside.get("/shop/_sim/truth/orders")).raise_for_status().json()
        return report, orders, await lost(stage), await doubled(stage)


@pytest.mark.parametrize("name", MEDUSA_STORIES)
def test_a_story_ends_as_it_should(name: str, played: Played) -> None:
    told = next(each for each in played[0].stories if each.name == name)
    assert told.error == "", "\n".join(told.told)
    assert (told.resolved, told.closed, told.open_exceptions) == (1, 1, 0)


def test_the_shop_paid_what_was_owed_and_not_twice(played: Played) -> None:
    refunds = [row for order in played[1] for row in order["transactions"]]
    assert [row["amount"]["presentment"] for row in refunds] == [2000, 2000]
    assert len([row for row in refunds if row["key"]]) == 1  # the agent's own stands beside it


def test_one_replacement_order_was_made(played: Played) -> None:
    assert len([order for order in played[1] if order["source_identifier"]]) == 1


def test_the_proof_holds(played: Played) -> None:
    report, _, gone, twice = played
    assert [each for each in report.invariants if not each["holds"]] == []
    assert (gone, twice) == ([], [])

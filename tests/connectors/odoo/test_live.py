"""The live proof on the simulator: what is expected of a real Odoo is expected of it, too. Real ones where given.

COUNTERFLOW_LIVE_URL, _DB, _KEY and _ADMIN_KEY (and _LOGIN, _ADMIN_LOGIN for Odoo 18) name a test database.
"""

import os

import pytest

from counterflow.connectors.odoo.live import Point, points, proof, prove
from counterflow.sdk.testing import Skipped, Target

REAL = os.environ.get("COUNTERFLOW_LIVE_URL", "")


FLOWS = [point for point in points() if point.group != "fault"]
BOTH = [*((point, "19.0") for point in points()), *((point, "18.0") for point in FLOWS)]


@pytest.mark.parametrize(("point", "version"), BOTH, ids=lambda value: getattr(value, "name", value))
async def test_the_simulator_holds_to_it(point: Point, version: str) -> None:
    async with proof(version=version) as at:
        try:
            await point.function(at)
        except Skipped as skipped:
            pytest.skip(str(skipped))


LANES = {
    "goods: The whole quantity": "fast",
    "goods: Back on sale": "fast+plain",  # the receipt before it, and the transfer that has no fast form
    "upstream: A return of a serial by hand": "nothing written",  # by us
}


@pytest.mark.parametrize("settings", [(("lane", "fast"),), ()], ids=["fast", "plain"])
async def test_the_report_says_which_lane_each_point_went_through(settings: tuple[tuple[str, str], ...]) -> None:
    for words, lane in LANES.items():
        [result] = await prove(only=words, settings=settings)
        wanted = lane if settings or lane == "nothing written" else "plain"
        assert (result.outcome, result.message.partition(",")[0]) == ("passed", wanted)


@pytest.mark.skipif(not REAL, reason="no real Odoo: set COUNTERFLOW_LIVE_URL, _DB, _KEY and _ADMIN_KEY")
async def test_a_real_odoo_holds_to_it() -> None:
    words = ("DB", "KEY", "ADMIN_KEY", "LOGIN", "ADMIN_LOGIN")
    database, key, admin_key, login, admin_login = (os.environ.get(f"COUNTERFLOW_LIVE_{word}", "") for word in words)
    target = Target(REAL, database, key, admin_key, login, admin_login)
    failed = [result for result in await prove(target) if result.outcome == "failed"]
    assert not failed

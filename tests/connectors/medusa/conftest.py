"""One shop twice: the simulator, and a real Medusa behind the relay. What a test says of `shop` holds for both."""

import pytest

from counterflow.connectors.medusa.conformance import Harness
from tests.connectors.medusa.real import RealHarness


@pytest.fixture(params=["simulated", "real"])
def shop(request: pytest.FixtureRequest) -> Harness:
    if request.param == "simulated":
        return Harness()
    RealHarness.server = request.getfixturevalue("medusa_server")
    return RealHarness()

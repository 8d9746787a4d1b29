"""The conformance kit against a real Medusa server, faults on the wire before it.

Refunds go through every check but the soak; of everything else those whose answer depends on what the server does. The
whole kit runs on the simulator, and test_both.py and test_shapes.py hold the two against each other.
"""

from typing import Any

import pytest

from counterflow.sdk.testing.check import Case, cases
from counterflow.sdk.testing.conformance import ConnectorConformance
from tests.connectors.medusa.real import RealHarness
from tests.counterparts.medusa.server import Server

OF_THE_SERVER = frozenset(
    (
        "applied_once",
        "find_tells_what_send_did",
        "lost_reply",
        "error_after_it_was_done",
        "a_stale_assumption_is_a_conflict",
        "an_empty_feed_ends",
        "rows_between_pages",
        "what_comes_later_is_found",
        "what_a_signal_points_at",
        "a_paid_leg_is_told_as_ours",
        "what_is_gone_is_not_found",
        "doctor_tells",
    )
)


def of_the_server(case: Case) -> bool:
    return case.check.name in OF_THE_SERVER or (case.subject == "PayLeg" and case.check.name != "soak")


class TestRealMedusa(ConnectorConformance):
    Harness = RealHarness

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "case" in metafunc.fixturenames:
            every = cases(RealHarness.maker.manifest)
            metafunc.parametrize("case", [case for case in every if of_the_server(case)], ids=str)

    @pytest.fixture(autouse=True)
    def server(self, medusa_server: Server) -> None:
        RealHarness.server = medusa_server

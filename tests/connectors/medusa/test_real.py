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
        "lost_reply",
        "error_after_it_was_done",
        "a_stale_assumption_is_a_conflict",
        "what_a_signal_points_at",
        "a_paid_leg_is_told_as_ours",
        "what_is_gone_is_not_found",
        "doctor_tells",
    )
)
PAGED = ("rows_between_pages", "returns"), ("what_comes_later_is_found", "refunds")


def of_the_server(case: Case) -> bool:
    name, subject = case.check.name, case.subject
    return name in OF_THE_SERVER or (name, subject) in PAGED or (subject == "PayLeg" and name != "soak")


class TestRealMedusa(ConnectorConformance):
    Harness = RealHarness

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "case" in metafunc.fixturenames:
            every = cases(RealHarness.maker.manifest)
            metafunc.parametrize("case", [case for case in every if of_the_server(case)], ids=str)

    @pytest.fixture(autouse=True)
    def server(self, medusa_server: Server) -> None:
        RealHarness.server = medusa_server

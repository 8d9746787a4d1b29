"""The kit as a pytest class: `class TestAcme(ConnectorConformance): Harness = AcmeHarness` is the whole test file."""

import asyncio
from typing import Any, ClassVar

import pytest

from counterflow.sdk.testing.check import Case, Skipped, cases
from counterflow.sdk.testing.harness import Harness as BaseHarness


class ConnectorConformance:
    """Every check that applies by the manifest is a test `test_conforms[<check>[<command or feed>]]`."""

    Harness: ClassVar[type[BaseHarness]]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", cases(self.Harness.maker.manifest), ids=str)

    def test_conforms(self, case: Case) -> None:
        try:
            asyncio.run(case.run(self.Harness()))
        except Skipped as skipped:
            pytest.skip(str(skipped))

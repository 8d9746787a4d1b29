from collections.abc import Iterator

import pytest

from counterflow.simulate.ground import stage as open_stage
from counterflow.simulate.run import Stage
from tests import twice


@pytest.fixture(scope="session")
def stage(database_url: str) -> Iterator[Stage]:
    with open_stage(database_url) as made:
        yield made


@pytest.fixture(autouse=True)
def _alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twice, "alive", True)

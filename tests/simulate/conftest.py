from collections.abc import Iterator

import pytest

from counterflow.simulate.ground import stage as open_stage
from counterflow.simulate.run import Stage


@pytest.fixture(scope="session")
def stage(database_url: str) -> Iterator[Stage]:
    with open_stage(database_url) as made:
        yield made

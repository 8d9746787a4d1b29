from collections.abc import AsyncIterator

import pytest

from tests.api.world import World, a_world


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with a_world(fresh_database) as made:
        yield made

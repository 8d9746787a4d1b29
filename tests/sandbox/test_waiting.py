"""A story that waits: as long as the world goes on, and not much longer."""

import asyncio
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from counterflow.sandbox import stage as module
from counterflow.sandbox.stage import Stage, Stuck


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Each time that it looks at its watch a minute has passed."""
    minutes = count()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(minutes) * 60.0))
    news = asyncio.Event()
    news.set()
    unused: Any = None
    conductor: Any = SimpleNamespace(news=news, jumps=0, waiting=0)
    return Stage(unused, unused, unused, conductor, Path(), unused)


async def test_a_story_waits_while_the_world_goes_on(stage: Stage) -> None:
    async def look() -> int | None:
        stage.conductor.jumps += 1
        return stage.conductor.jumps if stage.conductor.jumps == 20 else None

    assert await stage.until("the twentieth jump", look) == 20


async def test_a_story_is_stuck_when_nothing_moves(stage: Stage) -> None:
    async def look() -> None:
        return None

    with pytest.raises(Stuck, match="waited in vain for a miracle"):
        await stage.until("a miracle", look)

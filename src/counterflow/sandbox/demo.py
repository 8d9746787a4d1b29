"""`counterflow demo`: the simulated world, all its stories at once, and the proof that nothing was lost or doubled."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterflow.engine.reading import explained, timeline
from counterflow.sandbox.proof import prove
from counterflow.sandbox.stage import Stage, Stuck
from counterflow.sandbox.stories import Story, told_here
from counterflow.sandbox.town import SEED, open_town

# Told again by webhooks and sweeps; shown only when something followed.
_REPEATED = ("EffectReported", "SaleRecorded", "ReturnRequested", "RefundReported", "DocumentMoved")


@dataclass(slots=True)
class Told:
    """How one story went. `error` is empty when it ended as it should."""

    name: str
    cases: list[str] = field(default_factory=list)
    resolved: int = 0
    closed: int = 0
    open_exceptions: int = 0
    error: str = ""
    told: list[str] = field(default_factory=list)  # what happened, in lines for people


@dataclass(slots=True)
class Report:
    stories: list[Told]
    invariants: list[dict[str, Any]]
    calls: dict[str, int]
    seconds: float
    world_days: float

    @property
    def holds(self) -> bool:
        return all(told.error == "" for told in self.stories) and all(each["holds"] for each in self.invariants)

    def as_json(self) -> dict[str, Any]:
        return {
            "stories": [
                {
                    "name": told.name,
                    "cases": told.cases,
                    "resolved": told.resolved,
                    "closed": told.closed,
                    "open_exceptions": told.open_exceptions,
                    **({"error": told.error} if told.error else {}),
                }
                for told in self.stories
            ],
            "invariants": self.invariants,
            "calls": self.calls,
            "seconds": round(self.seconds, 2),
            "world_days": round(self.world_days, 1),
        }


async def demo(names: Sequence[str] = (), *, home: Path | None = None, workers: int = 1, seed: int = SEED) -> Report:
    """Run the stories (all of them without names) in a fresh world and prove its sums.

    With `home` the world stays there to be looked at; without, it is removed. Raises KeyError for an unknown story,
    TownError when a process does not start.
    """
    stories = told_here()
    chosen = {name: stories[name] for name in names} or stories
    folder = home or Path(tempfile.mkdtemp(prefix="counterflow-demo-"))
    started = time.monotonic()
    try:
        async with open_town(folder, workers=workers, seed=seed) as (_, stage):
            return await play(stage, chosen, started)
    finally:
        if home is None:
            await asyncio.to_thread(shutil.rmtree, folder, True)


async def play(stage: Stage, chosen: dict[str, Story], started: float) -> Report:
    """Tell the stories, then prove."""
    return await report(stage, await tell(stage, chosen), started)


async def tell(stage: Stage, chosen: dict[str, Story]) -> list[Told]:
    """Tell the stories side by side while the conductor keeps the time."""
    async with asyncio.TaskGroup() as group:  # without a conductor the stories would wait in vain
        conducting = group.create_task(stage.conductor.conduct())
        told = await asyncio.gather(*(_tell(stage, name, story) for name, story in chosen.items()))
        conducting.cancel()
    return told


async def report(stage: Stage, told: list[Told], started: float) -> Report:
    """The proof of what was told, and its sums."""
    conductor = stage.conductor
    invariants = await prove(stage)
    for each in told:
        await _count(stage, each)
    calls = await _calls(stage)
    days = (conductor.clock.now() - conductor.started).total_seconds() / 86_400
    return Report(told, invariants, calls, time.monotonic() - started, days)


async def _tell(stage: Stage, name: str, story: Story) -> Told:
    told = Told(name)
    stage.conductor.playing += 1
    try:
        await story(stage)
    except Stuck as stuck:
        told.error = str(stuck)
    except AssertionError as error:
        told.error = f"not as it should have ended: {error}"
    finally:
        stage.conductor.playing -= 1
    told.cases = stage.cases.get(name, [])
    return told


async def _count(stage: Stage, told: Told) -> None:
    for case_id in told.cases:
        view = await stage.view(case_id)
        if view is not None:
            told.resolved += view.status in ("resolved", "closed")
            told.closed += view.status == "closed"
            told.open_exceptions += len(view.exceptions)
        async with stage.pool.connection() as conn:
            for entry in await timeline(conn, case_id):
                moved = ", ".join(f"{c.axis} {c.after}" for c in entry.changes if c.axis in ("status", "goods", "leg"))
                planned = ", ".join(f"{effect.connection}.{effect.kind}" for effect in entry.effects)
                if moved or planned or entry.kind not in _REPEATED:
                    follows = " | ".join(filter(None, [moved, planned]))
                    told.told.append(f"{entry.occurred_at:%d %b %H:%M:%S}  {entry.by:8} {entry.kind:18} {follows}")
            told.told += ["", *(await explained(conn, view))] if view is not None else []


async def _calls(stage: Stage) -> dict[str, int]:
    """Calls that each connector made, as the outside systems counted them."""
    from counterflow.sandbox.estate import SYSTEMS

    counts = {}
    for name in SYSTEMS:
        answer = await stage.outside.get(f"/{name}/_sim/calls")
        counts[name] = sum(answer.json().values())
    return counts

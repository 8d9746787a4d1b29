"""kill -9, again and again, while the stories run in waves: the API, a worker, the outside world, the database.

    python -m counterflow.sandbox.soak --kills 20 --seed 7 --workers 1

What is killed is started again at once, as a supervisor does it, and the same proof has to hold at the end as without
any kill. The last line on standard output is one JSON object. Ends with 1 when a story did not end as it should, a sum
does not hold, or an effect was lost or doubled.
"""

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from counterflow.sandbox.demo import Report, Told, report, tell
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories import STORIES, Story
from counterflow.sandbox.town import POSTGRES, SEED, Town, open_town

PAUSE_SECONDS = 1.5  # at most, between what one kill had stopped and the next kill
RESUME_SECONDS = 60.0  # longer than this: it has not resumed
SUPERVISE_SECONDS = 0.2
NO_DATABASE = 6  # exit code of a command whose partner is unavailable
LOOK_SECONDS = 0.01

_DONE = "SELECT count(*) FROM effects WHERE status = 'done'"
_UNDER_WAY = "SELECT 1 FROM effects WHERE status IN ('sending', 'planned') AND not_before <= %s LIMIT 1"
_OPEN = (
    "SELECT effect_id, kind, status, word, message FROM effects WHERE status NOT IN ('done', 'rejected', 'discarded')"
)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill. `resumed_seconds`: until the next effect was done; None: nothing was left to be done."""

    name: str
    resumed_seconds: float | None


@dataclass(slots=True)
class Killer:
    """Kills one after the other in a seeded order, each while effects are under way."""

    town: Town
    stage: Stage
    order: Iterator[str]
    rng: random.Random
    kills: list[Kill] = field(default_factory=list)
    died: list[str] = field(default_factory=list)  # what ended by itself, with its exit code: nothing should

    async def run(self) -> None:
        for name in self.order:
            while not await self._under_way():
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(self.rng.uniform(0, 0.1))  # anywhere inside a call or a transaction
            self.kills.append(await self._kill(name))
            await asyncio.sleep(self.rng.uniform(0, PAUSE_SECONDS))

    async def _under_way(self) -> bool:
        return bool(await self.stage.rows(_UNDER_WAY, self.stage.conductor.clock.now()))

    async def _kill(self, name: str) -> Kill:
        done = (await self.stage.rows(_DONE))[0][0]
        at = time.monotonic()
        if name == "outside":
            async with self.stage.outside_is_up:  # people there wait; our own calls are cut off
                await self._again(name)
                await self.town.ready(name, f"{self.town.outside_url}/shop/_sim/next_due")
        else:
            await self._again(name)
        while time.monotonic() - at < RESUME_SECONDS:
            if (await self.stage.rows(_DONE))[0][0] > done:
                return Kill(name, time.monotonic() - at)
            if not self.stage.conductor.playing:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return Kill(name, None)

    async def _again(self, name: str) -> None:
        self.town.kill(name)
        if name == POSTGRES:
            await asyncio.to_thread(self.town.start, name)
        else:
            self.town.start(name)  # in the same breath: the supervisor never sees it dead

    async def supervise(self) -> None:
        """Start again what ends by itself, and remember it unless it was started while the database was gone."""
        while True:
            self.died += [f"{name}: {code}" for name, code in self.town.mind() if code != NO_DATABASE]
            await asyncio.sleep(SUPERVISE_SECONDS)


def in_turn(names: Sequence[str], count: int, rng: random.Random) -> Iterator[str]:
    """`count` names: every one once before any comes again, each round in another order."""
    left: list[str] = []
    for _ in range(count):
        left = left or rng.sample(names, len(names))
        yield left.pop()


@dataclass(slots=True)
class Soaked:
    """How a soak went. `lost`: effects that are done for us and not there, or never ended. `doubled`: there twice."""

    report: Report
    kills: list[Kill]
    died: list[str]
    waves: int
    lost: list[str]
    doubled: list[str]

    @property
    def holds(self) -> bool:
        return self.report.holds and not self.lost and not self.doubled and not self.died

    def as_json(self) -> dict[str, Any]:
        resumed = [kill.resumed_seconds for kill in self.kills if kill.resumed_seconds is not None]
        by_name = {
            name: [k.resumed_seconds for k in self.kills if k.name == name and k.resumed_seconds is not None]
            for name in sorted({kill.name for kill in self.kills})
        }
        told = self.report.stories
        return {
            "kills": len(self.kills),
            "killed": dict(sorted(Counter(kill.name for kill in self.kills).items())),
            "resume_seconds": {
                name: round(of(resumed), 2) for name, of in (("min", min), ("median", median), ("max", max)) if resumed
            },
            "resume_median_seconds": {name: round(median(each), 2) for name, each in by_name.items() if each},
            "waves": self.waves,
            "stories": len(told),
            "stories_ended": sum(not each.error for each in told),
            "errors": {each.name: each.error for each in told if each.error},
            "lost": self.lost,
            "doubled": self.doubled,
            "died": self.died,
            "invariants": len(self.report.invariants),
            "broken": [each for each in self.report.invariants if not each["holds"]],
            "seconds": round(self.report.seconds, 1),
            "holds": self.holds,
        }


async def soak(
    kills: int = 20,
    *,
    home: Path,
    seed: int = SEED,
    workers: int = 1,
    names: Sequence[str] = (),
    stories: dict[str, Story] | None = None,
) -> Soaked:
    """Tell the stories, wave after wave, until everything has been killed that often, then prove.

    `names`: what is killed, in turn; without it every process and the database. Raises TownError when something
    does not start again.
    """
    started, rng, waves = time.monotonic(), random.Random(seed), 0
    told: list[Told] = []
    async with open_town(home, workers=workers, seed=seed) as (town, stage):
        stage.killing = True
        order = in_turn(names or [*town.names(), POSTGRES], kills, rng)
        killer = Killer(town, stage, order, rng)
        killing, minding = asyncio.create_task(killer.run()), asyncio.create_task(killer.supervise())
        try:
            while not waves or (not killing.done() and not any(each.error for each in told)):
                told += await tell(stage, stories or STORIES)
                waves += 1
                ended = sum(not each.error for each in told)
                print(
                    f"wave {waves}: {len(killer.kills)} kills so far, {ended} of {len(told)} stories ended", flush=True
                )
        finally:
            killing.cancel()
            minding.cancel()
        told += await tell(stage, {"what was left": _what_was_left})
        proof = await report(stage, told, started)
        return Soaked(proof, killer.kills, killer.died, waves, await lost(stage), await doubled(stage))


async def _what_was_left(stage: Stage) -> None:
    """Closed cases may still have a message or a milestone on its way."""

    async def look() -> bool | None:
        return None if await stage.rows(_OPEN) else True

    await stage.until("every effect to end", look)


async def lost(stage: Stage) -> list[str]:
    """Effects that never ended, and refunds and messages that are done for us and unknown to who should have them."""
    found = [f"{kind} {effect_id} is {status}: {word} {message}" for effect_id, kind, status, word, message in
             await stage.rows(_OPEN)]  # fmt: skip
    there = {key for keys in (await _keys(stage)).values() for key in keys}
    done = await stage.rows(
        "SELECT kind, effect_id FROM effects WHERE status = 'done' AND (connection = 'psp' AND kind = 'PayLeg' "
        "OR kind IN ('NotifyCustomer', 'InstructDisposition', 'AnnounceReturn'))"
    )
    return found + [f"{kind} {effect_id} is done and not there" for kind, effect_id in done if effect_id not in there]


async def doubled(stage: Stage) -> list[str]:
    """Keys of ours under which an outside system holds two things."""
    return [
        f"{count} {what} under {key}"
        for what, keys in (await _keys(stage)).items()
        for key, count in Counter(keys).items()
        if count > 1
    ]


async def _keys(stage: Stage) -> dict[str, list[str]]:
    """Our keys as the outside systems hold them, by what they hold."""

    async def truth(path: str) -> Any:
        answer = await stage.outside.get(path)
        answer.raise_for_status()
        return answer.json()

    refunds = [row["metadata"].get("counterflow_key", "") for row in await truth("/psp/_sim/truth/refunds")]
    documents = (await truth("/odoo/_sim/books"))["documents"]
    orders = [row.get("source_identifier") or "" for row in await truth("/shop/_sim/truth/orders")]
    # A credit note says its intent, a refund's payment its refund: the same one twice was posted twice.
    notes = [row["ref"] for row in documents if row.get("move_type") == "out_refund" and row["state"] != "cancel"]
    return {
        "refunds": [key for key in refunds if key],
        "messages": [row["id"] for row in await truth("/mail/_sim/truth/messages")],
        "announcements": [row["key"] for row in await truth("/wms/_sim/truth/announcements")],
        "instructions": [row["key"] for row in await truth("/wms/_sim/truth/instructions")],
        "executions": [row["key"] for row in await truth("/wms/_sim/truth/executions")],
        "replacements": [key for key in orders if key.startswith("ef_")],
        "credit notes": [ref for ref in notes if ref],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m counterflow.sandbox.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the town is stopped either way
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # connections that break are what this is about
    home = Path(tempfile.mkdtemp(prefix="counterflow-soak-"))
    soaked = asyncio.run(soak(given.kills, home=home, seed=given.seed, workers=given.workers))
    print(json.dumps(soaked.as_json()))
    if soaked.holds:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"What it left is in {home}: logs, the outside world, the database", file=sys.stderr)
    return 0 if soaked.holds else 1


if __name__ == "__main__":
    sys.exit(main())

"""The same stories and failures for Counterflow and for a direct integration, and what each has left.

One story a world, so that all that is there at the end is of that story. What a direct integration does not do at all
is not asked of it: the stories are plain returns of one line, in the retailer's own currency, in good condition.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx2

from counterflow.sandbox.estate import SECRETS
from counterflow.simulate import compare, oracle
from counterflow.simulate.direct import Direct, empty_file
from counterflow.simulate.draft import Draft
from counterflow.simulate.faults import Chance, Exact, Plan, kinds_of
from counterflow.simulate.kernel import Kernel
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.network import Network, ask
from counterflow.simulate.run import Stage
from counterflow.simulate.script import Sold, Story
from counterflow.simulate.supervisor import Supervisor
from counterflow.simulate.town import OUTSIDE, Broken

# What can befall either: not what happens inside a database, and nobody has a second worker or a console.
FAULTS = ("crash_before_call", "crash_after_call", "messages", "calls", "answers", "outages", "deploy")
VERDICTS = ("lost", "doubled", "wrong")


@dataclass
class Tally:
    """What became of the returns. `lost`, `doubled`, `wrong`: refunds, credit notes and pieces of stock."""

    name: str
    returns: int = 0
    right: int = 0  # everything is as it should be
    verdicts: Counter[str] = field(default_factory=Counter)
    manual: int = 0  # times a person had to do something about it
    failures: int = 0
    seeds: list[int] = field(default_factory=list)  # where not everything is right

    def row(self) -> dict[str, Any]:
        found = {word: self.verdicts[word] for word in VERDICTS}
        head = {"integration": self.name, "returns": self.returns, "failures": self.failures, "right": self.right}
        return {**head, **found, "manual": self.manual}


def plain(seed: int) -> Story:
    """One to four pieces of one article; some or all of them come back as they were."""
    draft = Draft(1, "plain", random.Random(f"{seed}:plain"))
    [line] = draft.goods(1, most=1)
    quantity = draft.rng.randint(1, 4)
    draft.sell(Sold(line.sku, quantity, line.price_minor))
    back = draft.rng.randint(1, quantity)
    draft.ask((0, back))
    draft.come_back((0, back))
    return draft.end()


def play(stage: Stage, first: int, last: int, faults: Sequence[str]) -> tuple[Tally, Tally]:
    """The stories of these seeds with both. `faults`: names of classes or kinds, or ("none",)."""
    tallies = Tally("direct integration"), Tally("Counterflow")
    for seed in range(first, last):
        story = plain(seed)
        for tally, kernel in zip(tallies, (DirectKernel, Kernel), strict=True):
            plan: Plan = Exact({}) if tuple(faults) == ("none",) else Chance(seed, kinds_of(faults), 1)
            world, manual = left_by(stage, kernel, seed, story, plan)
            found = list(judge(world, story, stage.ground.oracle.foresee(story)[0]))
            tally.returns += 1
            tally.right += not found
            tally.verdicts += Counter(found)
            tally.manual += manual
            tally.failures += plan.fired.total()
            tally.seeds += [seed] if found else []
    return tallies


def left_by(stage: Stage, kind: type[Kernel], seed: int, story: Story, plan: Plan) -> tuple[compare.World, int]:
    """What the outside systems hold when all is over, and how often a person had to act."""
    with stage.kernel(seed, [story], plan, kind=kind) as kernel:
        with suppress(Broken):  # what is wrong is seen in what is left
            kernel.loop.run_until_complete(kernel.run())
        views = [seen.view for seen in kernel.checks.seen.values()]
        world = kernel.loop.run_until_complete(compare.look(partial(_get, kernel), views))
        return world, kernel.by_hand() + sum(len(view.exceptions) for view in views)


async def _get(kernel: Kernel, path: str) -> Any:
    return (await ask(kernel.outside.app, httpx2.Request("GET", f"{OUTSIDE}{path}"))).json()


def judge(world: compare.World, story: Story, ends: oracle.Ends) -> Iterator[str]:
    """A word for each of refund, credit note and stock that is not as the oracle foresees it."""
    refunds = [r for r in world.refunds if r["payment_intent"] == "pi_000001" and r["status"] == "succeeded"]
    yield from _verdict(sum(refund["amount"] for refund in refunds), ends.total, len(refunds))
    notes = [d for d in world.books["documents"] if d.get("move_type") == "out_refund" and d["state"] == "posted"]
    paid = [note for note in notes if note["payment_state"] in ("paid", "in_payment")]
    yield from _verdict(sum(round(note["amount"] * 100) for note in notes), ends.credited[0], len(notes))
    if refunds and not paid:
        yield "lost"  # the refund's payment is not in the books
    here = sum(pieces for (place, _), pieces in ends.pieces.items() if place == "sellable")
    rows = [row for row in world.books["stock"] if row["location"] == "Customers"]
    sold = sum(line.quantity for line in story.lines)
    back = sold - sum(round(row["quantity"]) for row in rows)
    yield from _verdict(back, (here + sold, here + sold), 2)


def _verdict(found: int, foreseen: oracle.Range, count: int) -> Iterator[str]:
    low, high = foreseen
    if found < low:
        yield "lost" if found == 0 else "wrong"
    elif found > high:
        yield "doubled" if count > 1 else "wrong"


# ---- the direct integration in the kernel ----------------------------------------------------------------------------


@dataclass
class DirectProcess:
    """What the kernel knows of a process, around the direct integration. Its file is the kernel's: it outlives it."""

    name: str
    network: Network
    loop: VirtualLoop
    file: dict[str, Any]
    kind = "direct"
    skew_seconds = 0.0
    must_look = looking = False
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        http = httpx2.AsyncClient(transport=self.network.of(self.name), timeout=10.0)
        self.direct = Direct(http, OUTSIDE, SECRETS, self.file, self._start)
        self.app = self.direct.app

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(self.loop.create_task(work))

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


class DirectChecks:
    """In the place of the checks: it has no cases, and people of a story see the shop's return alone."""

    def __init__(self, kernel: "DirectKernel") -> None:
        self.kernel = kernel
        self.seen: dict[str, Any] = {}

    def view_of(self, ref: str) -> Any:
        returns = self.kernel.outside.worlds["shop"].all("returns")
        if not ref or not returns:
            return None
        units = [SimpleNamespace(place="wh-1", unit_id="")] * 9  # the warehouse knows itself what it has counted
        line = SimpleNamespace(authorisation="approved" if returns[0]["status"] != "REQUESTED" else "pending")
        no: dict[str, Any] = {"case_id": "", "exchange": None, "legs": [], "intents": [], "exceptions": []}
        return SimpleNamespace(rma_number=returns[0]["name"], lines=[line], units=units, entitled_minor=0, **no)

    async def rows(self, query: str, *values: Any) -> list[Any]:
        return []

    async def next_due(self, query: str) -> None:
        return None

    async def changed(self) -> None:
        """Nothing is held against it before the end."""

    at_rest = changed

    def settled(self) -> bool:
        return not self.kernel.file["waiting"]

    def unsettled(self) -> str:
        return f"{len(self.kernel.file['waiting'])} messages"

    def told(self, view: Any) -> str:
        return "nobody knows"


class DirectKernel(Kernel):
    """The same world, scheduler and failures; one process, and no database."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.file = empty_file()
        self.checks = DirectChecks(self)  # type: ignore[assignment]
        self.supervisor = DirectSupervisor(self)

    def by_hand(self) -> int:
        return int(self.file["manual"] + self.file["given_up"])

    def _look(self, worker: Any) -> None:
        worker.must_look = False  # it sweeps nothing

    def feeds_of(self, worker: Any) -> set[tuple[str, str]]:
        return set()


class DirectSupervisor(Supervisor):
    """One process at a time; a new one finds the file of the one before."""

    kernel: DirectKernel

    async def start_api(self) -> None:
        """The process that calls is also the one that hears."""

    async def restart_api(self) -> None:
        """As above."""

    async def start_worker(self) -> Any:
        self.generation += 1
        process = DirectProcess(f"d{self.generation}", self.kernel.network, self.kernel.loop, self.kernel.file)
        self.api, self.api_up = process, True  # type: ignore[assignment]
        self.workers.append(process)  # type: ignore[arg-type]
        process.direct.begin()
        return process

    async def kill(self, worker: Any, *, again: bool = True) -> None:
        for flight in self.kernel.network.flights:
            if flight.target == "api" and flight.task is not None and not flight.task.done():
                flight.task.cancel()
        await super().kill(worker, again=True)

    async def mind(self) -> None:
        for process in [*self.workers]:
            if process.name in self.dying:
                await self.kill(process)
                await self.kernel.loop.quiet()

"""The simulation itself: one number is one run, every failure happens and is survived, and what is broken is found."""

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from counterflow.connectors.stripe import actions
from counterflow.connectors.stripe.client import Client
from counterflow.runtime import make_worker
from counterflow.simulate import exhaustive
from counterflow.simulate.campaign import Campaign, spread
from counterflow.simulate.exhaustive import SEED
from counterflow.simulate.failing import without_newest
from counterflow.simulate.families import write
from counterflow.simulate.faults import CLASSES, KINDS, MOST, Chance, Exact
from counterflow.simulate.policy import CHANGES
from counterflow.simulate.run import Stage, planned

PLAIN = ("omnichannel",)
CRASHES = 2  # of each core story in every run of the tests
# By point: the number of the pass at which the n-th kind happens. None is out of reach of a single story.
PASS = {
    "call": lambda n: 7 * n + 3, "hook": lambda n: 2 * n + 1, "commit": lambda n: 9 * n + 4,
    "statement": lambda n: 40 * n + 20, "person": lambda n: 0, "turn": lambda n: 60 * n + 30, "notify": lambda n: 4,
}  # fmt: skip


def test_every_kind_of_failure_happens_and_is_survived(stage: Stage) -> None:
    """All kinds, spread over four stories."""
    fired: Counter[str] = Counter()
    by_point: dict[str, list[str]] = {}
    for kind, (_, point, _) in KINDS.items():
        by_point.setdefault(point, []).append(kind)
    for n, family in enumerate(("omnichannel", "recalled_lot", "split_tender", "refunded_by_hand")):
        wanted = {
            (point, PASS[point](place)): kind
            for point, kinds in by_point.items()
            for place, kind in enumerate(kinds[n::4] if len(kinds) > 1 else kinds)
        }
        result = stage.run(SEED, [write(SEED, 1, family)], Exact(wanted))
        assert result.holds, (family, result.invariant, result.what)
        fired += result.fired
    assert set(fired) == set(KINDS)


@pytest.mark.parametrize("family", exhaustive.CORE[:-1])  # the last takes twice as long as any other
def test_a_crash_at_a_durable_boundary_is_survived(stage: Stage, family: str) -> None:
    """Of every boundary of the core stories some, evenly taken; `simulate exhaustive` does them all."""
    crashes = list(exhaustive.singles(stage, [family], kinds=CLASSES["crash"]))
    for task in crashes[3 :: len(crashes) // CRASHES]:
        ran = exhaustive.play(stage, task)
        assert ran.holds, (task.id, ran.invariant, ran.what)
        assert ran.fired.total() == 1 and set(ran.fired) <= set(CLASSES["crash"]), f"{task.id} did not happen"


def test_a_worker_of_the_simulation_has_all_duties_but_the_signing(stage: Stage) -> None:
    """The duty that nobody plays is one that nobody tries to refute."""
    with stage.kernel(SEED, (), Exact({})) as kernel:
        worker = kernel.loop.run_until_complete(kernel.supervisor.start_worker())
        both = worker.worker.duties, make_worker(worker.runtime).duties
    played, real = ([duty.__qualname__ for duty in each] for each in both)
    assert real == ["_checkpoints.<locals>.checkpoint", *played] and "Payouts.overdue" in played


def test_other_rules_come_in_mid_case_and_the_oracle_knows_which_count(stage: Stage) -> None:
    """Published once the sale is made, before the return is asked for or after: no case is left or paid wrongly."""
    story = write(SEED, 1, "deduction")
    for turn in (150, 400):
        ran = stage.run(SEED, [story], Exact({("turn", turn): "policy_changed"}), trace=True)
        assert ran.holds and ran.foreseen == 1, (ran.invariant, ran.what)
        [said] = [line.partition("policy_changed ")[2] for line in ran.trace if "fault policy_changed" in line]
        assert said in CHANGES


@pytest.mark.parametrize("seed", range(3))
def test_failures_fall_on_all_of_a_run(seed: int) -> None:
    """None before its calm is over, no more than there may be, and the same partner fails the same way again."""
    chance = Chance(seed, tuple(KINDS))
    calm = chance.calm
    passes = [chance.at("call", "GET psp/v1/refunds") for _ in range(calm + 20_000)]
    assert not any(passes[:calm]) and any(passes[calm:])
    assert chance.fired.total() == MOST * chance.stories
    assert any(passes[n] and len(set(passes[n : n + 3])) == 1 for n in range(len(passes)))


def test_a_list_lacks_only_what_changed_just_now() -> None:
    now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    rows = [{"id": 1, "write_date": "2026-03-02 07:59:30"}, {"id": 2, "write_date": "2026-03-02 07:00:00"}]
    assert json.loads(without_newest(json.dumps(rows).encode(), now)) == rows[1:]
    assert json.loads(without_newest(json.dumps(rows[1:]).encode(), now)) == rows[1:]
    shop = {"data": {"orders": {"nodes": [{"id": "a", "updatedAt": "2026-03-02T07:59:30Z"}]}}}
    assert json.loads(without_newest(json.dumps(shop).encode(), now)) == {"data": {"orders": {"nodes": []}}}
    assert without_newest(b"{}", now) == b"{}" and without_newest(b"<html>", now) == b"<html>"


def test_a_broken_promise_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund whose answer is lost is paid once; with a key per attempt and a blind look-up it is found paid twice."""
    places = exhaustive.boundaries(stage, "omnichannel")
    place = next(place for place, name in places if name == "call POST psp/v1/refunds")
    task = exhaustive.Task("omnichannel", ((place, "timeout_after"),), "the answer to the refund is lost")
    sound = exhaustive.play(stage, task)
    assert sound.holds and sound.fired == {"timeout_after": 1}, (sound.invariant, sound.what)

    create = Client.create_refund
    keys = iter(range(1000))

    async def careless(self: Client, params: Any, key: str) -> Any:
        return await create(self, params, f"{key}/{next(keys)}")

    async def blind(*_: Any) -> None:
        return None

    monkeypatch.setattr(Client, "create_refund", careless)
    monkeypatch.setattr(actions, "find", blind)
    found = exhaustive.play(stage, task)
    assert not found.holds
    assert found.invariant.startswith(("I1", "I2")), (found.invariant, found.what)


def test_one_number_is_one_run_in_every_process(
    stage: Stage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashes of strings and API keys differ from process to process; nothing may depend on them. And no seed is left
    out when the budget ends a campaign early."""
    families = ("signed",)  # a person acts through the API
    monkeypatch.setenv("PYTHONHASHSEED", "77")  # of the others
    ran = dict(spread(Campaign(1, families), 5, 100, 2, database=database_url, budget=3.0))
    assert len(ran) > 1 and sorted(ran) == list(range(5, 5 + len(ran))) and len(ran) < 10
    assert all(each.holds for each in ran.values()) and sum(each.fired.total() for each in ran.values()) > 5
    digests = {seed: each.digest for seed, each in ran.items()}
    assert digests == {seed: stage.run(seed, *planned(seed, 1, families)).digest for seed in ran}
    assert len(set(digests.values())) == len(ran)


def test_every_two_kinds_of_failure_meet(stage: Stage) -> None:
    one = list(exhaustive.pairs(stage, PLAIN))
    met = {frozenset(kind for _, kind in task.wanted) for task in one}
    alone = {kind for kinds in met if len(kinds) == 1 for kind in kinds}
    assert met >= {frozenset(two) for two in combinations(alone, 2)}
    assert alone >= {kind for name in ("crash", "messages", "calls", "partners", "database") for kind in CLASSES[name]}
    ran = exhaustive.Chosen(one).run(stage, len(one) // 2)
    assert ran.holds and ran.fired, (one[len(one) // 2].id, ran.invariant, ran.what)


def test_a_long_run_goes_on_where_it_stopped(stage: Stage, tmp_path: Any) -> None:
    task = exhaustive.Task("omnichannel", ((("hook", 1), "duplicate"),), "a message twice")
    state = exhaustive.State(tmp_path / "state")
    state.keep(task, exhaustive.play(stage, task))
    again = exhaustive.State(tmp_path / "state")
    assert again.done[task.id]["fired"] == 1 and not again.done[task.id]["invariant"]

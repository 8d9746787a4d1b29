"""Who goes first, and that nobody waits for ever."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from counterflow.engine.choose import FAIR_TURN, choose
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.store.effects import Candidate

LOOKUP = Idempotency.LOOKUP
START = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(number: int, priority: int, kind: str = "A", scope: str = "") -> Candidate:
    return Candidate(f"ef_{priority}_{number:04d}", kind, scope, priority, START + timedelta(seconds=number))


def batches(size: int, together: str = ""):
    return lambda kind: Support(LOOKUP, batch=size, together=together)


def test_the_higher_class_goes_first_and_the_lowest_still_gets_a_fifth():
    left = [waiting(n, 0) for n in range(400)] + [waiting(n, 4) for n in range(400)]
    served = []
    for turn in range(400):
        ((taken,),) = choose(left, 1, batches(1), turn)
        served.append(taken.priority)
        left.remove(taken)
    assert served[:5] == [0, 0, 0, 0, 4]
    assert served.count(4) == 400 // FAIR_TURN


def test_a_call_takes_one_kind_up_to_its_batch_and_no_scope_twice():
    left = [waiting(0, 0, "A", "s1"), waiting(1, 0, "A", "s1"), waiting(2, 0, "B"), waiting(3, 1, "A", "s2")]
    groups = choose(left, 3, batches(20), 0)
    assert [[c.effect_id for c in group] for group in groups] == [["ef_0_0000", "ef_1_0003"], ["ef_0_0002"]]


def test_kinds_that_go_together_share_a_call_as_large_as_the_smallest_of_them_allows():
    words = {"A": Support(LOOKUP, batch=4, together="pass"), "B": Support(LOOKUP, batch=3, together="pass")}
    left = [waiting(n, 0, kind, f"s{n}") for n, kind in enumerate("AABBBC")] + [waiting(6, 0, "A", "s0")]
    groups = choose(left, 9, lambda kind: words.get(kind, Support(LOOKUP)), 0)
    assert [[(c.kind, c.scope) for c in group] for group in groups] == [
        [("A", "s0"), ("A", "s1"), ("B", "s2")],
        [("B", "s3"), ("B", "s4")],
        [("C", "s5")],
    ]


candidates = st.lists(
    st.builds(
        waiting,
        st.integers(0, 50),
        st.integers(0, 4),
        st.sampled_from("AB"),
        st.sampled_from(["", "s1", "s2"]),
    ),
    unique_by=lambda c: c.effect_id,
)


@given(candidates, st.integers(0, 5), st.integers(1, 4), st.integers(0, 9), st.sampled_from(["", "pass"]))
def test_groups_are_sound_and_use_every_slot_that_they_can(left, calls, batch, turn, together):
    groups = choose(left, calls, batches(batch, together), turn)
    taken = [c for group in groups for c in group]
    scopes = [c.scope for c in taken if c.scope]
    assert len(groups) <= calls and all(1 <= len(g) <= batch for g in groups)
    assert together or all(len({c.kind for c in g}) == 1 for g in groups)
    assert len({c.effect_id for c in taken}) == len(taken) and len(set(scopes)) == len(scopes)
    if len(groups) < calls:
        rest = [c for c in left if c not in taken]
        assert all(c.scope and c.scope in scopes for c in rest)

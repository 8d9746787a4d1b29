"""Which due effects go out next: by priority class, with a share for those that wait the longest. Pure."""

from collections.abc import Callable, Sequence

from counterflow.sdk.manifest import Support
from counterflow.store.effects import Candidate

FAIR_TURN = 5  # every fifth call goes to the effect that has waited longest below the highest class: 20 %, none starves


def choose(
    candidates: Sequence[Candidate], calls: int, support: Callable[[str], Support], turn: int
) -> list[list[Candidate]]:
    """At most `calls` groups of one kind, or of kinds that go together, as large as the batches of all of them allow;
    no scope twice. `turn` counts calls."""
    left = sorted(candidates, key=lambda c: (c.priority, c.decided_at, c.effect_id))
    scopes: set[str] = set()
    groups: list[list[Candidate]] = []
    while left and len(groups) < calls:
        lead = _lead(left, turn + len(groups))
        size, together = max(1, support(lead.kind).batch), support(lead.kind).together
        group: list[Candidate] = []
        for candidate in (lead, *(c for c in left if c is not lead)):
            free = not candidate.scope or candidate.scope not in scopes
            theirs = support(candidate.kind)
            fits = candidate.kind == lead.kind or (together and theirs.together == together)
            if fits and free and len(group) < min(size, max(1, theirs.batch)):
                size = min(size, max(1, theirs.batch))
                group.append(candidate)
                scopes.add(candidate.scope)
        groups.append(group)
        taken = {candidate.effect_id for candidate in group}
        left = [c for c in left if c.effect_id not in taken and (not c.scope or c.scope not in scopes)]
    return groups


def _lead(left: Sequence[Candidate], turn: int) -> Candidate:
    first = left[0]
    if turn % FAIR_TURN == FAIR_TURN - 1:
        lower = [c for c in left if c.priority > first.priority]
        if lower:
            return min(lower, key=lambda c: (c.decided_at, c.effect_id))
    return first

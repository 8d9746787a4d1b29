"""Many effects through random faults, with the simulator's documents as the judge of "exactly once"."""

import random

from counterflow.sdk.outcomes import UnknownOutcome
from counterflow.sdk.testing.check import check
from counterflow.sdk.testing.faults import recoverable
from counterflow.sdk.testing.harness import Harness
from counterflow.sdk.testing.rule import attempt, once, word

EFFECTS = 30
FAULTS = (
    "refused",
    "lost_request",
    "lost_reply",
    "error_before",
    "error_after",
    "garbage_after",
    "rate_limited",
    "down",
)


@check(recoverable)
async def soak(harness: Harness, kind: str) -> None:
    """Thirty effects, each through a few random faults and now and then a crash of ours, are each done once."""
    chance = random.Random(f"{harness.manifest.name} {kind}")
    for number in range(EFFECTS):
        effect = await harness.sample(kind)
        drawn = [chance.choice(FAULTS) for _ in range(chance.randint(0, 3))]
        for fault in drawn:
            harness.world.fault(fault, match=chance.choice(["", harness.write_label(kind)]))
        answer = await attempt(harness, effect)
        if chance.random() < 0.2:  # we end before we have written the answer down
            answer = UnknownOutcome("the worker ended while it was being sent")
        try:
            await once(harness, effect, answer)
        except AssertionError as error:
            raise AssertionError(f"effect {number} through {drawn}, first answer {word(answer)}: {error}") from None
        harness.world.clear_faults()

"""Writes that meet no fault: done once, findable, refused where they must be, exact in amounts."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from counterflow.core.effects import Look
from counterflow.sdk.manifest import Idempotency, Manifest, Support
from counterflow.sdk.outcomes import Rejected
from counterflow.sdk.testing.check import Skipped, check, connector
from counterflow.sdk.testing.harness import Harness, with_text
from counterflow.sdk.testing.rule import FINAL, attempt, carry_out, look_up, once, succeeded, word

READS = frozenset({"ReadSale"})  # commands whose answer is facts
NATIVE, LOOKUP, STATE = Idempotency.NATIVE, Idempotency.LOOKUP, Idempotency.STATE
TEXT = "Zoë Ünal 😀 𝔘𝔫𝔦 «7/8» 'quoted' \"too\" <b> & 日本"


def writing(wanted: Callable[[Support], bool] = lambda support: True) -> Callable[[Manifest], Iterable[str]]:
    """The commands that change something and are supported so."""
    return lambda manifest: [
        kind for kind, support in manifest.commands.items() if kind not in READS and wanted(support)
    ]


def reading(manifest: Manifest) -> list[str]:
    return [kind for kind in manifest.commands if kind in READS]


@check(16, reading)
async def a_read_gives_facts(harness: Harness, kind: str) -> None:
    """A command that reads answers with facts, the same for the same state."""
    effect = await harness.sample(kind)
    first, second = await attempt(harness, effect), await attempt(harness, effect)
    facts = [getattr(outcome, "facts", ()) for outcome in (first, second)]
    assert facts[0], f"{kind} gave no facts: {first}"
    assert [fact.fact_id for fact in facts[0]] == [fact.fact_id for fact in facts[1]], "two reads gave other fact ids"


@check(2, writing())
async def applied_once(harness: Harness, kind: str) -> None:
    """One send does it once and says so."""
    effect = await harness.sample(kind)
    assert await harness.applied(effect) == 0, "the harness says that it was done before it was sent"
    await once(harness, effect, await attempt(harness, effect))


@check(6, writing(lambda support: support.idempotency in (NATIVE, LOOKUP) and support.findable))
async def find_tells_what_send_did(harness: Harness, kind: str) -> None:
    """`find` is "not there" before and the same success with the same reference after; it changes nothing."""
    effect, other = await harness.sample(kind), await harness.sample(kind)
    before = await look_up(harness, effect)
    assert before is None, f"before the send `find` gave {word(before)}: {before}"
    sent = await attempt(harness, effect)
    found = await look_up(harness, effect)
    assert succeeded(sent) and succeeded(found), f"send gave {word(sent)}, find {word(found)}: {sent or found}"
    assert getattr(sent, "ref", "") == getattr(found, "ref", "") != "", "send and find name different references"
    assert await look_up(harness, other) is None, "`find` takes another effect's doing for this one"
    assert (await harness.applied(effect), await harness.applied(other)) == (1, 0), "looking changed something"


@check(6, writing(lambda support: not support.findable))
async def find_owns_up_that_it_cannot_tell(harness: Harness, kind: str) -> None:
    """Where they show nothing by our key `find` raises, before and after the send: "not there" would be a guess."""
    effect = await harness.sample(kind)
    before = await look_up(harness, effect)
    assert succeeded(await attempt(harness, effect))
    told = [word(answer) for answer in (before, await look_up(harness, effect))]
    assert told == ["unknown", "unknown"], f"`find` claims to know: {told}"
    assert await harness.applied(effect) == 1, "looking changed something"


@check(3, writing(lambda support: support.idempotency in (NATIVE, STATE)))
async def same_key_twice(harness: Harness, kind: str) -> None:
    """Sent again under its key it is still done once, with the same answer."""
    effect = await harness.sample(kind)
    first = await attempt(harness, effect)
    second = await attempt(harness, effect, harness.connect())  # another process
    assert succeeded(first) and succeeded(second), f"{word(first)}, then {word(second)}: {second}"
    assert getattr(first, "ref", "") == getattr(second, "ref", ""), "the repeat names another reference"
    assert await harness.applied(effect) == 1, f"the outside did it {await harness.applied(effect)} times"


@check(4, writing(lambda support: support.idempotency is NATIVE))
async def same_key_other_content(harness: Harness, kind: str) -> None:
    """Other content under a used key is Conflict or Rejected, or Malformed where the first answer comes again."""
    effect = await harness.sample(kind)
    other = harness.altered(effect)
    if other is None:
        raise Skipped(f"Harness.altered has no other content for {kind}")
    assert succeeded(await attempt(harness, effect))
    answer = await attempt(harness, other)
    assert word(answer) in ("conflict", "rejected", "malformed"), f"other content under the key gave {word(answer)}"
    assert await harness.applied(effect) == 1


@check(13, writing(lambda support: support.idempotency in (NATIVE, STATE)))
async def two_at_once(harness: Harness, kind: str) -> None:
    """Two concurrent sends of one key do it once, and neither claims that it can never be."""
    effect = await harness.sample(kind)
    answers = await asyncio.gather(*(attempt(harness, effect, harness.connect()) for _ in range(2)))
    words = [word(answer) for answer in answers]
    assert not set(words) & set(FINAL), f"one of two concurrent sends gave up: {words}"
    for answer in answers:
        await once(harness, effect, answer)


@check(2, writing(lambda support: support.batch > 1))
async def a_batch(harness: Harness, kind: str) -> None:
    """A batch gives one outcome for each effect, in order, and does each once."""
    effects = [await harness.sample(kind) for _ in range(min(4, harness.support(kind).batch))]
    outcomes = list(await harness.connector.send(effects))
    assert len(outcomes) == len(effects), f"{len(outcomes)} outcomes for {len(effects)} effects"
    for effect, outcome in zip(effects, outcomes, strict=True):
        await once(harness, effect, outcome)
        if harness.support(kind).idempotency in (NATIVE, LOOKUP) and harness.support(kind).findable:
            found = await look_up(harness, effect)
            assert getattr(found, "ref", "") == getattr(outcome, "ref", ""), "the outcomes are not in order"


def sharing(manifest: Manifest) -> Iterable[str]:
    """Words of kinds that may share a send."""
    return sorted({support.together for support in manifest.commands.values()} - {""})


@check(2, sharing)
async def kinds_in_one_send(harness: Harness, together: str) -> None:
    """A send of several kinds gives one outcome for each effect, in order, and does each once."""
    commands = harness.connector.manifest.commands
    effects = [await harness.sample(kind) for kind, support in commands.items() if support.together == together]
    outcomes = list(await harness.connector.send(effects))
    assert len(outcomes) == len(effects), f"{len(outcomes)} outcomes for {len(effects)} effects"
    for effect, outcome in zip(effects, outcomes, strict=True):
        await once(harness, effect, outcome)


@check(11, writing())
async def what_cannot_be_is_rejected(harness: Harness, kind: str) -> None:
    """What the outside refuses for good (too much, say) is Rejected with a code, and is not done."""
    effect = await harness.over(kind)
    if effect is None:
        raise Skipped(f"Harness.over has nothing that is refused for {kind}")
    answer = await attempt(harness, effect)
    assert isinstance(answer, Rejected), f"it gave {word(answer)}: {answer}"
    assert answer.code, "a Rejected needs the vendor's code"
    assert await harness.applied(effect) == 0


@check(12, writing())
async def a_stale_assumption_is_a_conflict(harness: Harness, kind: str) -> None:
    """What assumes something that is no longer so outside is a Conflict, and is not done."""
    effect = await harness.stale(kind)
    if effect is None:
        raise Skipped(f"Harness.stale has nothing for {kind}")
    answer = await attempt(harness, effect)
    assert word(answer) == "conflict", f"it gave {word(answer)}: {answer}"
    assert await harness.applied(effect) == 0


@check(23, writing())
async def amounts_are_exact(harness: Harness, kind: str) -> None:
    """EUR, JPY and KWD arrive to the minor unit, and back from `find`."""
    for currency, amount in harness.currencies.items():
        effect = await harness.sample(kind, currency, amount)
        await once(harness, effect)
        booked = await harness.amount(effect)
        if booked is None:
            raise Skipped(f"Harness.amount knows no money of {kind}")
        assert booked == (amount, currency), f"{amount} {currency} was asked for, {booked} was booked"


@check(23, lambda manifest: [kind for kind in ("PayLeg",) if kind in manifest.commands])
async def no_refund_of_nothing(harness: Harness, kind: str) -> None:
    """Zero or less is Rejected and never goes out."""
    for amount in (0, -500):
        effect = await harness.sample(kind)
        effect = replace(effect, command=replace(effect.command, amount_minor=amount))  # type: ignore[arg-type]
        before = harness.network.requests
        answer = await attempt(harness, effect)
        assert word(answer) == "rejected", f"a refund of {amount} gave {word(answer)}"
        assert harness.network.requests == before, f"a refund of {amount} was sent"


@check(24, writing())
async def text_is_text(harness: Harness, kind: str) -> None:
    """Accents, emoji, quotes and 4-byte letters in free text go through unharmed, or are refused in our words."""
    effect = await harness.sample(kind)
    command = with_text(effect.command, TEXT)
    if command is None:
        raise Skipped(f"{kind} has no free text")
    effect = replace(effect, command=command)
    answer = await carry_out(harness, effect)
    assert succeeded(answer) or word(answer) == "rejected", f"it gave {word(answer)}: {answer}"
    assert await harness.applied(effect) == int(succeeded(answer))


@check(1, connector)
async def a_foreign_command_is_rejected(harness: Harness, _: str) -> None:
    """A command that the manifest does not name is Rejected, not a crash: a wrong route says so."""
    answer = await attempt(harness, harness.effect(Look("no-such-feed", "nothing")))
    assert word(answer) == "rejected", f"it gave {word(answer)}"

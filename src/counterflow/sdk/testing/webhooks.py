"""Webhooks: what the outside signed gets in, everything else is AuthFailed; a repeat is known as one."""

import hmac
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from counterflow.sdk.connector import Delivery
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Malformed
from counterflow.sdk.testing.check import Skipped, check, topics
from counterflow.sdk.testing.harness import Harness
from counterflow.sdk.testing.reads import sound, told_as

_TRANSPORT = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type"}
)


async def deliveries(harness: Harness) -> list[Delivery]:
    """What the outside says when something happens in every feed that has webhooks."""
    for feed in harness.manifest.feeds:
        if feed.webhooks:
            await harness.happen(feed.name)
    found = await harness.told()
    assert found, "nothing was delivered: the simulator sends no webhooks, or no feed names its topics"
    return found


def refused(harness: Harness, delivery: Delivery, why: str) -> None:
    try:
        harness.connector.verify(delivery)
    except AuthFailed:
        return
    except ConnectorError as error:
        raise AssertionError(f"{why} gave {error.word}, expected auth_failed") from None
    raise AssertionError(f"{why} was let in")


def needed(harness: Harness, delivery: Delivery) -> list[str]:
    """The headers without which it does not get in."""
    said = [name for name in delivery.headers if name not in _TRANSPORT]
    return [name for name in said if not _gets_in(harness, _with(delivery, {name: ()}))]


@check(19, topics)
async def a_good_signature(harness: Harness, _: str) -> None:
    """What the outside signed gets in, has an identity of its own, and gives sound facts or signals."""
    found = await deliveries(harness)
    for delivery in found:
        harness.connector.verify(delivery)
        sound(harness, harness.connector.translate(delivery))
    ids = [harness.connector.identify(delivery) for delivery in found]
    assert all(ids), "a delivery has no identity"
    assert len(set(ids)) == len(ids), "two different deliveries have one identity: one would be dropped"
    assert any(harness.connector.translate(delivery) for delivery in found), "no delivery told anything"


@check(20, topics)
async def a_flipped_bit(harness: Harness, _: str) -> None:
    """One changed bit of the body, or of what the signature covers, is AuthFailed."""
    if not harness.signs_body:
        raise Skipped("they sign no body: a delivery is a pointer, and forging one can only make us look")
    delivery = (await deliveries(harness))[0]
    changed = harness.tampered(delivery)
    assert changed, "Harness.tampered changed nothing"
    for number, each in enumerate(changed):
        refused(harness, each, f"change {number} of what is signed")
    refused(harness, replace(delivery, body=b""), "an empty body")


@check(20, topics)
async def an_old_signature(harness: Harness, _: str) -> None:
    """A signature of an hour ago, or from an hour ahead, is AuthFailed; two minutes of skew are not."""
    if not harness.signs_time:
        raise Skipped("their signature covers no time: a replay is held off by its identity alone")
    delivery = (await deliveries(harness))[0]
    for seconds in (3600, -3600):
        later = replace(delivery, received_at=delivery.received_at + timedelta(seconds=seconds))
        refused(harness, later, f"a signature {seconds} seconds off")
    for seconds in (120, -120):
        harness.connector.verify(replace(delivery, received_at=delivery.received_at + timedelta(seconds=seconds)))


@check(20, topics)
async def a_missing_header(harness: Harness, _: str) -> None:
    """Without its signature, with a strange one or with two, a delivery is AuthFailed."""
    delivery = (await deliveries(harness))[0]
    signed = needed(harness, delivery)
    assert signed, "the delivery gets in without any of its headers"
    refused(harness, replace(delivery, headers={}), "a delivery without headers")
    for name in signed:
        refused(harness, _with(delivery, {name: ("",)}), f"an empty {name}")
        refused(harness, _with(delivery, {name: ("é=\x00,v1=zz",)}), f"a strange {name}")
        refused(harness, _with(delivery, {name: (*delivery.headers[name], "other")}), f"a doubled {name}")


@check(20, topics)
async def another_secret(harness: Harness, _: str) -> None:
    """What somebody else's secret signed is AuthFailed."""
    delivery = (await deliveries(harness))[0]
    others: dict[str, Any] = {
        name: f"{value[:6]}{value[6:][::-1]}" for name, value in _webhook_secrets(harness).items()
    }
    assert others, "no secret field is for webhooks: name it webhook_secret"
    other = harness.connect(**others)
    try:
        other.verify(delivery)
    except AuthFailed:
        return
    raise AssertionError("the secret does not matter")


@check(20, topics)
async def compared_in_constant_time(harness: Harness, _: str) -> None:
    """Signatures are compared by `hmac.compare_digest` (or the like), so that time tells nothing of the right one."""
    delivery = (await deliveries(harness))[0]
    flipped = replace(delivery, body=delivery.body[:-1] + bytes([delivery.body[-1] ^ 1]))
    for each, what in ((delivery, "a good"), (flipped, "a forged")):
        with _watched() as compared:
            _gets_in(harness, each)
        assert compared, f"the signature of {what} delivery was compared by another means: use hmac.compare_digest"


@check(21, topics)
async def a_repeat_is_known(harness: Harness, _: str) -> None:
    """A retry, signed anew, has the same identity and the same facts."""
    if not harness.resends:
        raise Skipped("they send nothing again")
    harness.receiver_status = 503
    first = await deliveries(harness)
    harness.receiver_status = 202
    harness.clock.advance(600)
    again = await harness.told()
    assert again, "the simulator does not retry"
    identities = {harness.connector.identify(delivery) for delivery in first}
    for delivery in again:
        harness.connector.verify(delivery)
        assert harness.connector.identify(delivery) in identities, "a retry has another identity"
    by_id = {harness.connector.identify(delivery): delivery for delivery in first}
    for delivery in again:
        before = by_id[harness.connector.identify(delivery)]
        told = [told_as(harness.connector.translate(each)) for each in (before, delivery)]
        assert told[0] == told[1], "a retry gave other fact ids"


@check(22, topics)
async def an_unknown_topic(harness: Harness, _: str) -> None:
    """A signed delivery of a kind that we do not know is taken and gives nothing."""
    delivery = harness.sign(harness.unknown_topic())
    harness.connector.verify(delivery)
    assert harness.connector.identify(delivery), "it has no identity"
    told = list(harness.connector.translate(delivery))
    assert told == [], f"an unknown topic gave {told}"


@check(22, topics)
async def a_broken_body(harness: Harness, _: str) -> None:
    """A signed body that breaks the contract is Malformed, never a crash."""
    topic = harness.manifest.topics[0].encode()
    bodies = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"id": 7, "type": "%s", "data": null}' % topic)
    for body in bodies:
        delivery = harness.sign(body)
        if not _gets_in(harness, delivery):
            continue
        understood = [_malformed(read, delivery) for read in (harness.connector.identify, harness.connector.translate)]
        assert any(understood), f"{body!r} was understood"


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Notes every comparison in constant time, wherever a module has bound it by name."""
    compared: list[str] = []
    right = hmac.compare_digest

    def noted(*sides: Any) -> bool:
        compared.append("compare_digest")
        return right(*sides)

    bound = [
        (module, name)
        for module in list(sys.modules.values())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if value is right
    ]
    for module, name in bound:
        setattr(module, name, noted)
    try:
        yield compared
    finally:
        for module, name in bound:
            setattr(module, name, right)


def _with(delivery: Delivery, headers: Mapping[str, tuple[str, ...]]) -> Delivery:
    return replace(delivery, headers={**delivery.headers, **headers})


def _gets_in(harness: Harness, delivery: Delivery) -> bool:
    try:
        harness.connector.verify(delivery)
    except AuthFailed:
        return False
    return True


def _webhook_secrets(harness: Harness) -> dict[str, str]:
    return {
        name: str(harness.config[name])
        for name in harness.manifest.secret_fields
        if ("webhook" in name or "signing" in name) and harness.config.get(name)
    }


def _malformed(read: Callable[[Delivery], object], delivery: Delivery) -> bool:
    """Whether this verb calls the delivery Malformed; any other error is the connector's own."""
    try:
        read(delivery)
    except Malformed:
        return True
    except Exception as error:
        raise AssertionError(f"{read.__name__} fails with {type(error).__name__} on {delivery.body!r}") from error
    return False

"""Bad input at volume: whatever they send or answer, it ends in sound facts or in a word, and no forgery gets in.

Each check goes through `Harness.spoiled` of them, drawn by number: the same number is the same input.
"""

import hmac
import traceback
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any

import httpx2

from counterflow.sdk.connector import Connector, Delivery, Signal
from counterflow.sdk.manifest import Manifest
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Done, Malformed, UnknownOutcome
from counterflow.sdk.reading import keepable, storable
from counterflow.sdk.testing.check import Skipped, check, feeds, files, topics
from counterflow.sdk.testing.harness import Harness
from counterflow.sdk.testing.reads import sound, told_as
from counterflow.sdk.testing.rule import attempt
from counterflow.sdk.testing.spoil import flipped, spoil, spoil_table, turned, without_list, written_otherwise
from counterflow.sdk.testing.webhooks import deliveries, needed, refused

Read = Callable[[Connector], Awaitable[object]]
Answers = dict[tuple[str, str, bytes], tuple[int, list[tuple[str, str]], bytes]]
READ = ("transient", "rate_limited", "rejected", "conflict", "auth_failed", "not_found", "malformed")
BOOLEANS_MOST = 80  # of one answer
REQUESTS_MOST = 400  # of one read: a loop that the answers keep going has no end


class Found:
    """What went wrong, each kind of failure once with its first input."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, ...], str] = {}
        self.count = 0

    def add(self, error: BaseException, what: str) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        kind = (type(error).__name__, frame.filename, str(frame.lineno))
        self.kinds.setdefault(kind, f"{what}: {type(error).__name__}: {str(error)[:300]} ({frame.name}:{frame.lineno})")
        self.count += 1

    def none(self) -> None:
        told = "\n".join(list(self.kinds.values())[:10])
        assert not self.kinds, f"{self.count} inputs failed, in {len(self.kinds)} ways:\n{told}"


@check(22, topics)
async def a_spoiled_delivery(harness: Harness, _: str) -> None:
    """Whatever a signed delivery holds, it gives sound facts or signals, or is Malformed."""
    told, found = await deliveries(harness), Found()
    for number in range(harness.spoiled):
        chance = Random(f"delivery {number}")
        first = chance.choice(told)
        body, what = spoil(first.body, chance)
        try:
            _understand(harness, _signed(harness, first, body))
        except Exception as error:
            found.add(error, f"delivery {number}, {what}")
    found.none()


@check(20, topics)
async def a_spoiled_signature(harness: Harness, _: str) -> None:
    """No forgery gets in: other bits, other bytes of the same meaning, another key, another delivery's signature."""
    told, found = await deliveries(harness), Found()
    headers = needed(harness, told[0])
    for number in range(harness.spoiled):
        chance = Random(f"signature {number}")
        first = chance.choice(told)
        for name in headers:
            scheme, _space, shown = first.headers[name][0].rpartition(" ")
            value = flipped(shown.encode("latin-1"), chance).decode("latin-1")
            if not harness.signs_body and _same_password(shown, value):
                continue
            _forged(harness, _headed(first, name, (f"{scheme} {value}".strip(),)), f"{name} {value!r}", found)
            _forged(harness, _headed(first, name, first.headers[name] * 2), f"{name} twice", found)
        other = chance.choice(told)
        if _signs_bytes(harness) and other.body != first.body:
            _forged(harness, replace(first, headers=other.headers), "another delivery's signature", found)
        if _signs_bytes(harness):
            _forged(harness, replace(first, body=flipped(first.body, chance)), "a bit of the body", found)
        if harness.signs_time:
            seconds = chance.choice((1, -1)) * chance.randint(3_600, 10**9)
            at = first.received_at + timedelta(seconds=seconds)
            _forged(harness, replace(first, received_at=at), f"{seconds} seconds off", found)
    found.none()
    if harness.signs_body:
        _other_bytes(harness, told)
        _other_keys(harness, told[0])


@check(9, feeds)
async def a_spoiled_answer(harness: Harness, feed: str) -> None:
    """Whatever a read is answered, it ends in sound facts or in a word."""
    await harness.happen(feed)
    await harness.ripen()

    async def read(connector: Connector) -> None:
        page = await connector.pull(feed, "")
        sound(harness, page.items)
        assert isinstance(page.cursor, str), f"the cursor is {page.cursor!r}"
        storable(page.cursor, "cursor")
        await connector.pull(feed, page.cursor)

    async def look(connector: Connector) -> None:
        for each in signals:
            sound(harness, await connector.fetch(each.feed, each.ref))

    signals = [item for item in (await harness.connect().pull(feed, "")).items if isinstance(item, Signal)][:2]
    found = Found()
    await _read(harness, read, found, READ)
    if signals:
        await _read(harness, look, found, READ)
    found.none()


def _commands(manifest: Manifest) -> list[str]:
    return list(manifest.commands)


@check(9, _commands)
async def a_spoiled_look_up(harness: Harness, kind: str) -> None:
    """Whatever a look-up is answered, it ends in an outcome or in a word."""
    effect = await harness.sample(kind)
    await attempt(harness, effect)

    async def find(connector: Connector) -> None:
        outcome = await connector.find(effect)
        keepable(outcome)
        if isinstance(outcome, Done):
            sound(harness, outcome.facts)

    async def sale(connector: Connector) -> None:
        for outcome in await connector.send([effect]):
            if isinstance(outcome, Done):
                sound(harness, outcome.facts)

    found = Found()
    await _read(harness, sale if kind == "ReadSale" else find, found, (*READ, "unknown"))
    found.none()


@check(14, feeds)
async def a_list_that_is_gone(harness: Harness, feed: str) -> None:
    """A page whose list has another name is Malformed, and not a page without rows: they would never be told."""
    await harness.happen(feed)
    await harness.ripen()

    async def read(connector: Connector) -> object:
        return (await connector.pull(feed, "")).items

    await _with_its_lists(harness, read, {})


@check(6, _commands)
async def a_look_up_without_its_list(harness: Harness, kind: str) -> None:
    """A look-up whose list has another name is Malformed, and not "surely not there": it would be done twice."""
    effect = await harness.sample(kind)
    await attempt(harness, effect)

    async def find(connector: Connector) -> object:
        return await connector.find(effect)

    answers: Answers = {}
    if await _asked(harness, find, answers) and await find(harness.connect(network=Spoiling(harness.network, answers))):
        await _with_its_lists(harness, find, answers)


@check(27, files)
async def a_spoiled_file(harness: Harness, feed: str) -> None:
    """Whatever a file holds, it tells sound facts or is Malformed."""
    file = await harness.file(feed)
    assert file is not None, f"the manifest says that {feed} comes in files, and Harness.file has none"
    found = Found()
    for number in range(harness.spoiled):
        body, what = spoil_table(file.body, file.delimiter, Random(f"file {number}"))
        await harness.replace_file(file.name, body)
        try:
            sound(harness, await harness.connect().fetch(feed, file.name))
        except Malformed:
            continue
        except Exception as error:
            found.add(error, f"file {number}, {what}")
    found.none()


# ---- deliveries ------------------------------------------------------------------------------------------------------


def _understand(harness: Harness, delivery: Delivery) -> None:
    """What the door does with it."""
    try:
        harness.connector.verify(delivery)
    except AuthFailed:
        return  # a form so broken that nothing in it is signed
    try:
        identity = harness.connector.identify(delivery)
        told = harness.connector.translate(delivery)
    except Malformed:
        return
    storable(identity, "identity_ref")
    sound(harness, told)


def _signed(harness: Harness, first: Delivery, body: bytes) -> Delivery:
    """Other bytes under the headers of a delivery, signed anew."""
    anew = harness.sign(body)
    kept = {name: values for name, values in first.headers.items() if name not in needed(harness, first)}
    return replace(anew, headers={**anew.headers, **kept})


def _forged(harness: Harness, delivery: Delivery, what: str, found: Found) -> None:
    try:
        refused(harness, delivery, what)
    except Exception as error:
        found.add(error, what)


def _headed(delivery: Delivery, name: str, values: tuple[str, ...]) -> Delivery:
    return replace(delivery, headers={**delivery.headers, name: values})


def _other_bytes(harness: Harness, told: list[Delivery]) -> None:
    """The same JSON in other bytes is refused, or means the very same where only fields are signed."""
    for first in told[:3]:
        for body in written_otherwise(first.body):
            other = replace(first, body=body)
            if _signs_bytes(harness):
                refused(harness, other, f"the same JSON as {body[:40]!r}")
                continue
            try:
                harness.connector.verify(other)
                identity, again = harness.connector.identify(other), harness.connector.translate(other)
            except ConnectorError:
                continue
            assert identity == harness.connector.identify(first), "the same items have another identity"
            assert told_as(again) == told_as(harness.connector.translate(first)), "the same items tell something else"


def _other_keys(harness: Harness, first: Delivery) -> None:
    """What no key, a part of the key or another key signed, over the same body, at the same time."""
    keys: dict[str, Callable[[bytes], bytes]] = {
        "no key": lambda key: b"",
        "half the key": lambda key: key[: len(key) // 2],
        "another key": lambda key: bytes(reversed(key)),
        "the key with one bit flipped": lambda key: flipped(key, Random(1)),
        "the key in lower case": lambda key: key.swapcase() + b"\n",
    }
    harness.connector.verify(harness.sign(first.body))
    for name, key in keys.items():
        with _keyed(key) as used:
            delivery = harness.sign(first.body)
        if not used:
            raise Skipped("their signature is made by another means than hmac.new")
        refused(harness, delivery, f"what {name} signed")


@contextmanager
def _keyed(change: Callable[[bytes], bytes]) -> Iterator[list[bytes]]:
    """Whoever signs by `hmac.new` or `hmac.digest` does it with another key."""
    used: list[bytes] = []
    new, digest = hmac.new, hmac.digest

    def noted(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(key: bytes, *args: Any, **kwargs: Any) -> Any:
            used.append(key)
            return make(change(key), *args, **kwargs)

        return made

    hmac.new, hmac.digest = noted(new), noted(digest)
    try:
        yield used
    finally:
        hmac.new, hmac.digest = new, digest


def _signs_bytes(harness: Harness) -> bool:
    """Whether the signature covers the body byte by byte: `tampered` says otherwise where it covers fields."""
    return harness.signs_body and type(harness).tampered is Harness.tampered


def _same_password(shown: str, value: str) -> bool:
    """Basic authentication shows a user, who does not matter, and a password."""
    return _password(shown) == _password(value)


def _password(shown: str) -> bytes:
    try:
        return b64decode(shown, validate=True).partition(b":")[2]
    except ValueError:
        return b""


# ---- answers ---------------------------------------------------------------------------------------------------------


class Spoiling(httpx2.AsyncBaseTransport):
    """Passes requests on to a world that stands still, and spoils the answer to one of them, or to all from there on.

    `what` says what was done. What was answered once is answered again without asking.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        answers: Answers,
        spoil: Callable[[bytes], tuple[bytes, str]] | None = None,
        first: int = 0,
        every: bool = False,
    ) -> None:
        self.inner, self.answers, self.spoil, self.first, self.every = inner, answers, spoil, first, every
        self.requests, self.what = 0, ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        number, self.requests = self.requests, self.requests + 1
        assert number < REQUESTS_MOST, f"one read makes more than {REQUESTS_MOST} requests: it has no end"
        key = (request.method, str(request.url), await request.aread())
        if key not in self.answers:
            answer = await self.inner.handle_async_request(request)
            headers = [(k, v) for k, v in answer.headers.multi_items() if k != "content-length"]
            self.answers[key] = answer.status_code, headers, await answer.aread()
        status, headers, body = self.answers[key]
        if self.spoil and (number == self.first or (self.every and number > self.first)):
            body, what = self.spoil(body)
            self.what = self.what or what
        return httpx2.Response(status, headers=headers, content=body)


async def _read(harness: Harness, read: Read, found: Found, words: tuple[str, ...]) -> None:
    """Read with one answer spoiled, again and again; of the eight words these may come."""
    answers: Answers = {}
    asked = await _asked(harness, read, answers)
    for place in range(BOOLEANS_MOST if asked else 0):  # "there is more" in every answer: is there an end?
        wire = Spoiling(harness.network, answers, partial(turned, place), every=True)
        try:
            await _in_words(read(harness.connect(network=wire)), words)
        except Exception as error:
            found.add(error, f"{wire.what} the other way")
        if not wire.what:
            break  # there are no more
    for number in range(harness.spoiled if asked else 0):
        chance = Random(f"answer {number}")
        way = partial(_spoiled_by, f"{number}")
        wire = Spoiling(harness.network, answers, way, chance.randrange(asked), every=chance.random() < 0.2)
        try:
            await _in_words(read(harness.connect(network=wire)), words)
        except Exception as error:
            found.add(error, f"answer {number}, {wire.what}")


def _spoiled_by(seed: str, body: bytes) -> tuple[bytes, str]:
    return spoil(body, Random(seed))


async def _asked(harness: Harness, read: Read, answers: Answers) -> int:
    """How many requests it makes when nothing is wrong; 0 for what cannot be asked at all."""
    wire = Spoiling(harness.network, answers)
    try:
        await read(harness.connect(network=wire))
    except UnknownOutcome:
        return 0
    return wire.requests


async def _in_words(read: Awaitable[object], words: tuple[str, ...]) -> None:
    try:
        await read
    except ConnectorError as error:
        if error.word not in words:
            raise AssertionError(f"a read is never {error.word}: {error.message[:200]}") from None
        for name in ("message", "code", "field"):
            storable(getattr(error, name), name)


async def _with_its_lists(harness: Harness, read: Read, answers: Answers) -> None:
    """Read with each list of each answer gone in turn, for another name: what it held is not "nothing"."""
    for number in range(await _asked(harness, read, answers)):
        for place in count():
            wire = Spoiling(harness.network, answers, partial(without_list, place), number)
            try:
                told = await read(harness.connect(network=wire))
            except ConnectorError:
                told = "a word"
            if not wire.what:
                break  # it has no more lists
            assert told, f"answer {number} without {wire.what} was taken for one that has nothing to tell"

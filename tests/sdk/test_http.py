"""HTTP fails in eight words by when it failed; secrets do not leave through messages; limits hold."""

import gzip
import socket
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.sdk.http import Transport, classify, json_of, raise_for, redact, retry_after
from counterflow.sdk.outcomes import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Malformed,
    MissingRight,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)


def answer(status: int, text: str = "", **headers: str) -> httpx2.Response:
    return httpx2.Response(
        status, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def transport(handler: Callable[[httpx2.Request], httpx2.Response], **more: object) -> Transport:
    return Transport("http://there.test/api", transport=httpx2.MockTransport(handler), **more)  # type: ignore[arg-type]


BEFORE = [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol]
AFTER = [
    httpx2.ReadTimeout,
    httpx2.WriteTimeout,
    httpx2.ReadError,
    httpx2.WriteError,
    httpx2.RemoteProtocolError,
    httpx2.DecodingError,
]


@pytest.mark.parametrize("error", BEFORE)
@pytest.mark.parametrize("write", [True, False])
async def test_what_was_never_sent_is_transient(error: type[httpx2.RequestError], write: bool) -> None:
    with pytest.raises(Transient, match=r"cannot reach there\.test"):
        await transport(_raising(error)).request("POST", "/x", write=write)


async def test_what_no_address_can_hold_is_rejected() -> None:
    with pytest.raises(Rejected, match="cannot ask for"):
        await transport(lambda request: answer(200)).request("GET", "/orders/1\0", write=False)


@pytest.mark.parametrize("error", AFTER)
async def test_what_was_sent_and_not_answered_is_unknown_for_a_write(error: type[httpx2.RequestError]) -> None:
    with pytest.raises(UnknownOutcome):
        await transport(_raising(error)).request("POST", "/x", write=True)
    with pytest.raises(Transient):
        await transport(_raising(error)).request("GET", "/x", write=False)


async def test_a_closed_port_is_transient() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = Transport(f"http://127.0.0.1:{port}")
    with pytest.raises(Transient):
        await here.request("POST", "/", write=True)
    await here.aclose()


WORDS = [
    (200, None, None),
    (204, None, None),
    (301, Rejected, Rejected),
    (400, Rejected, Rejected),
    (401, AuthFailed, AuthFailed),
    (403, MissingRight, MissingRight),
    (404, NotFound, NotFound),
    (408, Transient, Transient),
    (409, Conflict, Conflict),
    (410, NotFound, NotFound),
    (412, Conflict, Conflict),
    (422, Rejected, Rejected),
    (425, Transient, Transient),
    (429, RateLimited, RateLimited),
    (500, UnknownOutcome, Transient),
    (502, UnknownOutcome, Transient),
    (503, UnknownOutcome, Transient),
    (504, UnknownOutcome, Transient),
]


@pytest.mark.parametrize(("status", "written", "read"), WORDS)
def test_each_status_has_its_word(
    status: int, written: type[ConnectorError] | None, read: type[ConnectorError] | None
) -> None:
    for write, expected in ((True, written), (False, read)):
        error = classify(answer(status, "because"), write=write)
        assert (type(error) if error else None) is expected


@given(st.integers(100, 599), st.booleans(), st.text(max_size=30))
def test_every_answer_is_a_success_or_one_of_the_words(status: int, write: bool, text: str) -> None:
    error = classify(answer(status), write=write, message=text)
    assert (error is None) == (200 <= status < 300)
    if error is not None:
        assert error.word != "error" and error.message


def test_refused_before_the_application_is_transient() -> None:
    assert isinstance(classify(answer(503, retry_after="5"), write=True), Transient)


def test_the_vendors_own_codes_win_over_the_status() -> None:
    words: dict[str, type[ConnectorError]] = {"in_use": UnknownOutcome, "busy": RateLimited, "other": Conflict}
    for status, code, expected in (
        (409, "in_use", "unknown"),
        (400, "busy", "rate_limited"),
        (400, "other", "conflict"),
    ):
        with pytest.raises(ConnectorError) as caught:
            raise_for(answer(status), write=True, code=code, field="amount", words=words)
        assert (caught.value.word, caught.value.code) == (expected, code)


def test_a_redirect_says_that_the_address_is_wrong() -> None:
    error = classify(answer(302), write=False)
    assert error is not None and "check the connection's address" in error.message


def test_only_silence_counts_against_the_other_side() -> None:
    unhealthy = [word for word in ConnectorError.__subclasses__() if word.unhealthy]
    assert unhealthy == [Transient, UnknownOutcome]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1.0),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "999999"}, 3600.0),
        ({"retry_after": "soon"}, 1.0),
        ({"retry_after": "nan"}, 1.0),
        ({"retry_after": "inf"}, 1.0),
        ({"retry_after": "Mon, 23 Nov 2026 10:01:00 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 60.0),
        ({"retry_after": "Mon, 23 Nov 2026 10:01:00 GMT"}, 1.0),
    ],
)
def test_how_long_they_ask_us_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(answer(429, **headers)) == seconds


class Recording:
    def __init__(self) -> None:
        self.spent: list[float] = []
        self.paused: list[float] = []

    async def acquire(self, cost: float = 1.0) -> None:
        self.spent.append(cost)

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


async def test_every_call_takes_from_the_shared_limit_and_a_429_pauses_it() -> None:
    limiter = Recording()
    calm = transport(lambda request: answer(200), limiter=limiter)
    await calm.request("GET", "/", write=False, cost=3.0)
    busy = transport(lambda request: answer(429, retry_after="4"), limiter=limiter)
    assert (await busy.request("GET", "/", write=False)).status_code == 429
    assert (limiter.spent, limiter.paused) == ([3.0, 1.0], [4.0])


async def test_an_answer_is_not_read_beyond_the_limit() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield b"x" * 1000

    here = transport(lambda request: httpx2.Response(200, content=endless()), max_bytes=5000)
    with pytest.raises(UnknownOutcome, match="larger than the limit"):
        await here.request("POST", "/", write=True)
    assert read < 10_000


async def test_a_packed_answer_is_unpacked_once() -> None:
    packed = gzip.compress(b'{"name": "Zo\xc3\xab"}')
    here = transport(lambda request: httpx2.Response(200, content=packed, headers={"content-encoding": "gzip"}))
    response = await here.request("GET", "/", write=False)
    assert json_of(response, write=False) == {"name": "Zoë"}


def test_garbage_is_unknown_after_a_write_and_malformed_after_a_read() -> None:
    with pytest.raises(UnknownOutcome):
        json_of(answer(200, "<html>"), write=True)
    with pytest.raises(Malformed):
        json_of(answer(200, "<html>"), write=False)


HIDDEN = "h1dd3n-Value_77"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {HIDDEN}",
        f"{{'authorization': 'Bearer {HIDDEN}', 'accept': '*/*'}}",
        f"[('authorization', 'Basic {HIDDEN}')]",
        f"bearer {HIDDEN} is wrong",
        f'{{"access_token": "{HIDDEN}"}}',
        f"X-Shopify-Access-Token: {HIDDEN}",
        f"('x-api-key', '{HIDDEN}')",
        f"apikey={HIDDEN}&x=1",
        f"password = {HIDDEN}",
        f"key sk_live_{HIDDEN} expired",
        f"whsec_{HIDDEN}",
        f"shpat_{HIDDEN}",
        f"https://user:{HIDDEN}@host.test/path",
        f"webhook-signature: v1,{HIDDEN}",
        "eyJhbGciOiJI.eyJzdWIi." + HIDDEN,
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert HIDDEN not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Refund amount (20.01 EUR) is greater than unrefunded amount on charge (20.00 EUR)",
        "the token expired: sign in again",
        "No such payment_intent: 'pi_123'",
        "Keys for idempotent requests can only be used with the same parameters",
    ],
)
def test_what_a_person_needs_is_kept(text: str) -> None:
    assert redact(text) == text


def test_a_message_is_never_long() -> None:
    assert len(redact("x" * 10_000)) == 500


def _raising(error: type[httpx2.RequestError]) -> Callable[[httpx2.Request], httpx2.Response]:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise error("Bearer sk_live_hidden", request=request)

    return handler

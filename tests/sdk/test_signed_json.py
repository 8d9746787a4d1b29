"""Signed JSON holds to the Standard Webhooks scheme, with the library of its authors as the independent check."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from counterflow.sdk import signed_json
from counterflow.sdk.connector import Delivery
from counterflow.sdk.outcomes import AuthFailed, Malformed

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of a sender").decode()
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def delivery(body: bytes = b'{"a": 1}', secret: str = SECRET, at: datetime = NOW) -> Delivery:
    headers = signed_json.sign(secret, "msg_1", at, body)
    return Delivery("cn", {name: (value,) for name, value in headers.items()}, body, NOW)


@given(st.text(max_size=60), st.integers(1_000_000_000, 4_000_000_000))
def test_the_signature_is_the_one_of_the_scheme(text: str, seconds: int) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    theirs = Webhook(SECRET).sign("msg_1", at, text)
    assert signed_json.sign(SECRET, "msg_1", at, text.encode())["webhook-signature"] == theirs


def test_what_the_library_signed_is_accepted() -> None:
    body = '{"name": "Zoë 😀"}'
    signature = Webhook(SECRET).sign("msg_1", NOW, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": signature}
    taken = Delivery("cn", {name: (value,) for name, value in headers.items()}, body.encode(), NOW)
    signed_json.verify(taken, SECRET)
    assert signed_json.document(taken) == {"name": "Zoë 😀"}


def test_both_secrets_are_good_while_they_are_changed() -> None:
    signed_json.verify(delivery(secret=OTHER), SECRET, OTHER)
    both = delivery()
    two = f"v1,AAAA v2,BBBB {both.header('webhook-signature')}"
    signed_json.verify(replace(both, headers={**both.headers, "webhook-signature": (two,)}), SECRET)


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_what_is_too_old_or_from_the_future_is_refused(seconds: int) -> None:
    with pytest.raises(AuthFailed):
        signed_json.verify(delivery(at=NOW + timedelta(seconds=seconds)), SECRET)
    signed_json.verify(delivery(at=NOW + timedelta(seconds=299 if seconds > 0 else -299)), SECRET)


@given(st.integers(0, 7), st.integers(0, 7))
def test_one_flipped_bit_is_refused(place: int, bit: int) -> None:
    good = delivery()
    body = bytearray(good.body)
    body[place] ^= 1 << bit
    with pytest.raises(AuthFailed):
        signed_json.verify(replace(good, body=bytes(body)), SECRET)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ()},
        {"webhook-id": ("msg_2",)},
        {"webhook-timestamp": ()},
        {"webhook-timestamp": ("yesterday",)},
        {"webhook-timestamp": ("１７７２３６６４００",)},
        {"webhook-signature": ()},
        {"webhook-signature": ("v1,ä",)},
        {"webhook-signature": ("",)},
        {"webhook-signature": ("v1,AAAA", "v1,BBBB")},
    ],
)
def test_a_header_that_is_absent_doubled_or_strange_is_refused(change: dict[str, tuple[str, ...]]) -> None:
    good = delivery()
    with pytest.raises(AuthFailed):
        signed_json.verify(replace(good, headers={**good.headers, **change}), SECRET)


def test_no_secret_lets_nothing_in() -> None:
    with pytest.raises(AuthFailed):
        signed_json.verify(delivery())
    for bad in ("", "whsec_", "whsec_!"):
        with pytest.raises(ValueError, match="copy it from the sender"):
            signed_json.key_of(bad)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"text"'])
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        signed_json.document(delivery(body))

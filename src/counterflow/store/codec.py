"""Facts, commands and views as JSON and back.

The text is canonical: keys sorted, no spaces, UTC instants, so that equal values give equal bytes to hash. A fact and
an effect carry the name of their body's class under `kind`; unknown fields of a newer version are ignored when read.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import msgspec

from counterflow.core.effects import COMMANDS, Command, Effect
from counterflow.core.facts import BODIES, Body, Fact

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> str:
    """Canonical JSON of any value of ours; not for Fact and Effect alone (`encode_fact`, `effect_values`)."""
    return _encoder.encode(value).decode()


def encode_fact(fact: Fact) -> str:
    """Canonical JSON of a fact."""
    return encode(fact_values(fact))


def decode_fact(text: str | bytes) -> Fact:
    """Raises msgspec.ValidationError or KeyError for what is no fact of ours."""
    return _fact(_fact_decoder.decode(text))


def encode_command(command: Command) -> str:
    """Canonical JSON of a command."""
    return encode(command)


def decode_command(kind: str, text: str | bytes) -> Command:
    """A command by its class name. Raises KeyError for none of ours, msgspec.ValidationError for a wrong body."""
    command: Command = _decoder(COMMANDS[kind]).decode(text)
    return command


def decode(kind: type[T], text: str | bytes) -> T:
    """A plain dataclass (Claims, Sale, View, ...) from its JSON."""
    of: Any = kind  # `list[SettlementEntry]` is fine here, too
    value: T = _decoder(of).decode(text)
    return value


class LogRow(msgspec.Struct, frozen=True):
    """What a log row says, as far as the case is folded from it."""

    seq: int
    fact: Fact
    effects: tuple[Effect, ...]


def decode_log(body: str | bytes) -> LogRow:
    """A log row from its body. Raises msgspec.ValidationError."""
    row = _log_decoder.decode(body)
    return LogRow(row.seq, _fact(row.fact), tuple(map(_effect, row.effects)))


def fact_values(fact: Fact) -> Mapping[str, object]:
    """A fact as it is written: its kind beside its body."""
    return {
        "fact_id": fact.fact_id,
        "kind": type(fact.body).__name__,
        "connection": fact.connection,
        "occurred_at": fact.occurred_at,
        "seen_at": fact.seen_at,
        "refs": fact.refs,
        "body": fact.body,
        "origin": fact.origin,
        "delivery_id": fact.delivery_id,
        "adapter": fact.adapter,
    }


def effect_values(effect: Effect) -> Mapping[str, object]:
    """An effect as it is written: its kind beside its command."""
    return {
        "effect_id": effect.effect_id,
        "kind": type(effect.command).__name__,
        "owner": effect.owner,
        "connection": effect.connection,
        "command": effect.command,
        "decided_at": effect.decided_at,
        "scope": effect.scope,
        "because": effect.because,
        "after": effect.after,
    }


class _Fact(msgspec.Struct):
    fact_id: str
    kind: str
    connection: str
    occurred_at: datetime
    seen_at: datetime
    refs: tuple[str, ...]
    body: msgspec.Raw
    origin: str = "channel"
    delivery_id: str = ""
    adapter: str = ""


class _Effect(msgspec.Struct):
    effect_id: str
    kind: str
    owner: str
    connection: str
    command: msgspec.Raw
    decided_at: datetime
    scope: str = ""
    because: str = ""
    after: tuple[str, ...] = ()


class _LogRow(msgspec.Struct):
    seq: int
    fact: _Fact
    effects: list[_Effect]


_fact_decoder = msgspec.json.Decoder(_Fact)
_log_decoder = msgspec.json.Decoder(_LogRow)


@cache
def _decoder(kind: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _fact(row: _Fact) -> Fact:
    body: Body = _decoder(BODIES[row.kind]).decode(row.body)
    return Fact(
        row.fact_id,
        row.connection,
        row.occurred_at,
        row.seen_at,
        row.refs,
        body,
        row.origin,
        row.delivery_id,
        row.adapter,
    )


def _effect(row: _Effect) -> Effect:
    return Effect(
        row.effect_id,
        row.owner,
        row.connection,
        decode_command(row.kind, row.command),
        row.decided_at,
        row.scope,
        row.because,
        row.after,
    )

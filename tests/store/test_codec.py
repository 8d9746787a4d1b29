"""Every fact and every command comes back from its text as it was, and equal values have equal text."""

import json
from dataclasses import is_dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterflow.core.effects import COMMANDS, Effect
from counterflow.core.facts import BODIES, Fact
from counterflow.store.codec import (
    decode_command,
    decode_fact,
    decode_log,
    effect_values,
    encode,
    encode_fact,
    fact_values,
)

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    NoneType: st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a plain type, of tuples and unions of them, and of dataclasses of all that."""
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        return st.builds(kind, **{name: values(hint) for name, hint in get_type_hints(kind).items()})
    inner = get_args(kind)
    if get_origin(kind) is not tuple:
        return st.one_of(*map(values, inner))
    if inner[1:] == (...,):
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    return st.tuples(*map(values, inner))


def a_fact(body: object, at: datetime) -> Fact:
    return Fact("fc_1", "shop", at, at, ("shop:return:1", 'rma:"1\\'), body)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(BODIES))
@settings(max_examples=15)
@given(data=st.data())
def test_facts(kind, data):
    fact = a_fact(data.draw(values(BODIES[kind])), data.draw(values(datetime)))
    text = encode_fact(fact)
    assert decode_fact(text) == fact
    assert encode_fact(decode_fact(text)) == text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("kind", sorted(COMMANDS))
@settings(max_examples=15)
@given(data=st.data())
def test_effects_and_log_rows(kind, data):
    command = data.draw(values(COMMANDS[kind]))
    at = data.draw(values(datetime))
    assert decode_command(kind, encode(command)) == command
    effect = Effect("ef_1", "rc_1", "odoo", command, at, "s", "b", ("ef_0",))
    fact = a_fact(BODIES["NoteAdded"]("n", "bob"), at)
    row = decode_log(encode({"seq": 3, "fact": fact_values(fact), "effects": [effect_values(effect)], "more": 1}))
    assert (row.seq, row.fact, row.effects) == (3, fact, (effect,))


def test_what_a_newer_version_added_is_ignored_and_what_it_left_out_has_its_default():
    text = encode_fact(a_fact(BODIES["NoteAdded"]("n", "bob"), datetime(2026, 1, 1, tzinfo=UTC)))
    said = json.loads(text)
    said["body"]["colour"] = "blue"
    del said["adapter"]
    assert decode_fact(json.dumps(said)) == decode_fact(text)

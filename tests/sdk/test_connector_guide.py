"""The connector guide names every verb, every word, every hook of the kit and every kind of idempotency."""

import re
from pathlib import Path

import pytest

from counterflow.sdk.connector import Connector
from counterflow.sdk.manifest import ROLES, Idempotency
from counterflow.sdk.outcomes import ConnectorError
from counterflow.sdk.testing import Harness

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "connector.md").read_text("utf-8")
VERBS = [name for name in vars(Connector) if not name.startswith("_") and callable(vars(Connector)[name])]
GIVEN = {"act", "connect", "delivery_of", "effect", "manifest", "secrets", "support", "told", "write_label"}
HOOKS = [name for name in vars(Harness) if not name.startswith("_") and name not in GIVEN]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "aclose"])
def test_every_verb_is_told(verb: str) -> None:
    assert f"`{verb}(" in GUIDE


@pytest.mark.parametrize("word", [word.__name__ for word in ConnectorError.__subclasses__()])
def test_every_word_is_told(word: str) -> None:
    assert f"`{word}" in GUIDE


@pytest.mark.parametrize("kind", [kind.name for kind in Idempotency])
def test_every_idempotency_is_told(kind: str) -> None:
    assert f"| `{kind}` |" in GUIDE


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_of_the_kit_is_told(hook: str) -> None:
    assert f"`{hook}`" in GUIDE or f"def {hook}(" in GUIDE or f"    {hook} = " in GUIDE


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_told_with_what_it_needs(role: str) -> None:
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{role}` |")]
    _, _, commands, feeds, _ = row.split("|")
    told = [set(re.findall(r"`(\w+)`", cell)) for cell in (commands, feeds)]
    assert told == [set(needed) for needed in ROLES[role]]

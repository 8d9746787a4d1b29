"""The documentation says what is there: nothing is stale or left out, no path, link or command leads nowhere."""

import ast
import re
import shlex
from functools import cache

import pytest
from pydantic import BaseModel

from counterflow.cli import app
from counterflow.core.effects import COMMANDS, PRIORITY_CLASSES
from counterflow.core.facts import BODIES
from counterflow.core.returns.exceptions import CLASSES
from counterflow.core.returns.states import AXES
from counterflow.settings import Settings
from tools import docs

ROOT = docs.ROOT
SOURCE = ROOT / "src" / "counterflow"
PAGES = docs.pages()
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_no_page_is_stale(name: str) -> None:
    assert docs.filled(text(name)) == text(name), f"{name} is stale: run `make docs`"


def test_every_generated_part_is_on_a_page() -> None:
    there = {
        mark.partition(":")[0]
        for name in NAMES
        for mark in re.findall(r"^<!-- begin: (\S+) -->$", text(name), re.MULTILINE)
    }
    assert there == set(docs.PARTS)
    assert all(f"<!-- begin: axis:{axis} -->" in text("docs/concepts/three-axes.md") for axis in AXES)


# ---- nothing is left out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*BODIES.values(), *COMMANDS.values()], ids=lambda kind: kind.__name__)
def test_every_fact_and_command_says_what_it_is(kind: type) -> None:
    assert docs.sentence(kind), f"{kind.__name__} has no docstring: the reference has nothing to say of it"
    page = "docs/reference/facts.md" if kind.__name__ in BODIES else "docs/reference/effects.md"
    assert f"### {kind.__name__}\n" in text(page)


def test_every_setting_and_configuration_field_is_described() -> None:
    from counterflow.configuration import ConnectionModel, PlaceModel, RoutesModel, SettlementModel

    models: list[type[BaseModel]] = [Settings, ConnectionModel, PlaceModel, RoutesModel, SettlementModel]
    for maker in docs.first_party().values():
        models += [maker.Config, *docs._models(maker.Config)]
    bare = [f"{m.__name__}.{name}" for m in models for name, f in m.model_fields.items() if not f.description]
    assert not bare
    assert all(f"COUNTERFLOW_{name.upper()}" in text("docs/reference/settings.md") for name in Settings.model_fields)


def test_every_class_of_exception_has_its_playbook() -> None:
    anchors = anchors_of("docs/operations/playbooks.md")
    sections = re.split(r"^## ", text("docs/operations/playbooks.md"), flags=re.MULTILINE)[1:]
    for name, each in CLASSES.items():
        assert each.playbook in anchors, f"{name} points at #{each.playbook}, which is no section of the playbooks"
        mine = [s for s in sections if each.playbook in _anchors(f"## {s}") and f"`{name}`" in s]
        assert mine, f"the section #{each.playbook} does not name its class {name}"


def test_whatever_raises_an_exception_names_a_known_class_with_its_owner() -> None:
    """Outside of cases, an exception is made by `Raised(id, kind, severity, owner, ...)`."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Raised"):
                continue
            kinds, severity, owner = (_texts(argument) for argument in node.args[1:4])
            for kind in kinds:
                assert kind in CLASSES, f"{path.name} raises {kind}, which has no class"
                assert [CLASSES[kind].severity, CLASSES[kind].owner] == [*severity, *owner], kind
                found.add(kind)
    assert {"fact_parked", "fact_unmatched", "connection_auth", "feed_failed", "effect_parked", "drift"} <= found


def _texts(node: ast.expr) -> list[str]:
    """The texts that an argument may be: one, or two of `a if ... else b`; none of a variable."""
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def test_the_glossary_has_the_words_of_the_tables() -> None:
    words = text("docs/concepts/glossary.md")
    assert all(name in words for name in PRIORITY_CLASSES)


def test_every_folder_is_on_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", text("docs/README.md")))
    pages = {name.removeprefix("docs/") for name in NAMES if name.startswith("docs/")} - {"README.md"}
    assert pages <= linked, f"docs/README.md does not lead to {', '.join(sorted(pages - linked))}"


# ---- nothing leads nowhere -------------------------------------------------------------------------------------------

PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|toml|lock|txt)))(?::(\w+))?`")
BASES = (ROOT, SOURCE, SOURCE / "core" / "returns")
NOT_OURS = {"counterflow.toml", "policies/", "keys/", "checkpoints/", "console/", "simulate/"}  # or not there yet


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    named = set(PATH.findall(text(name)))
    assert named
    for path, function in sorted(named):
        found = [base / path for base in BASES if (base / path).exists()]
        assert found or path in NOT_OURS, f"{name} names {path}, which does not exist"
        if function:
            source = found[0].read_text("utf-8")
            assert re.search(rf"^(async def|def|class) {function}\b", source, re.MULTILINE), f"{path} has no {function}"


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors_of(str(page.resolve().relative_to(ROOT))), f"{name}: {target} has no such section"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_is_shown_exists(name: str) -> None:
    blocks = "\n".join(FENCE.findall(text(name)))
    indented = re.findall(r"^    .*$", text(name), re.MULTILINE)
    inline = re.findall(r"`(counterflow [^`]+)`", text(name))
    for line in [*blocks.splitlines(), *indented, *inline]:
        command = line.strip().partition("#")[0].removeprefix("$ ")
        if not command.startswith("counterflow ") or "=" in command.split()[1]:
            continue
        _check_command(name, command)


def _check_command(name: str, command: str) -> None:
    try:
        tokens = shlex.split(command)[1:]
    except ValueError:
        return  # a sentence, not a command
    if not re.fullmatch(r"[a-z]+", tokens[0]):
        return
    chain, apps, _ = app.parse_commands(tokens)
    assert chain, f"{name} shows `{command}`, which is no command"
    if apps[-1].default_command is None:  # a group: what follows has to be one of its commands
        rest = tokens[len(chain) :]
        assert not rest or not re.fullmatch(r"[a-z]+", rest[0]), f"{name} shows `{command}`, which is no command"
        return
    known = {option for argument in apps[-1].assemble_argument_collection() for option in argument.names}
    options = {token.partition("=")[0] for token in tokens if token.startswith("--")}
    assert options <= known | {"--help"}, f"{name} shows `{command}`; there is {', '.join(sorted(known))}"


@cache
def anchors_of(name: str) -> frozenset[str]:
    page = ROOT / name
    return _anchors(page.read_text("utf-8")) if page.suffix == ".md" else frozenset()


def _anchors(page: str) -> frozenset[str]:
    """What GitHub makes of headings, and the anchors set by hand."""
    made: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE):
        plain = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        n = made.get(slug, -1) + 1
        made[slug] = n
        if n:
            made[f"{slug}-{n}"] = 0
    return frozenset(made) | frozenset(re.findall(r'<a id="([^"]+)">', page))

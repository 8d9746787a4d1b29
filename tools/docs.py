"""`make docs`: fill the generated parts of the documentation from the code. `--check` only says which are stale.

A page is written by hand; what the code knows better stands between two marks, and is replaced here:

    <!-- begin: exceptions -->
    <!-- end: exceptions -->

The same code always gives the same text. `tests/docs` fails when a page is stale, or when something is in the code and
on no page.
"""

import ast
import dataclasses
import io
import re
import sys
import tokenize
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"(?P<begin><!-- begin: (?P<name>[a-z:_-]+) -->\n).*?(?P<end><!-- end: (?P=name) -->)", re.DOTALL)


def pages(root: Path = ROOT) -> list[Path]:
    """Every page of the documentation."""
    top = [root / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")]
    return [path for path in (*top, *sorted((root / "docs").rglob("*.md"))) if path.exists()]


def filled(text: str) -> str:
    """A page with its generated parts made anew. Raises KeyError for a part that nobody generates."""
    return _MARK.sub(lambda m: f"{m['begin']}\n{part(m['name'])}\n\n{m['end']}", text)


def part(name: str) -> str:
    """One generated part: `facts`, or `axis:goods` for one with an argument."""
    kind, _, argument = name.partition(":")
    text = PARTS[kind](argument) if argument else PARTS[kind]()
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n")


def index() -> str:
    """Every page by its title, so that none is lost."""
    folders = ("concepts", "guides", "connectors", "operations", "reference", "decisions")
    parts = []
    for folder in folders:
        listed = []
        for path in sorted((ROOT / "docs" / folder).glob("*.md")):
            title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            listed.append(f"- [{title}]({folder}/{path.name})")
        parts += [f"## {folder.capitalize()}", "\n".join(listed)]
    return "\n\n".join(parts)


def points() -> str:
    """The points of the conformance kit with the checks that are about each."""
    from counterflow.sdk.testing.check import POINTS, all_checks

    rows = [
        [str(point), about, ", ".join(code(each.name) for each in all_checks() if each.point == point)]
        for point, about in POINTS.items()
    ]
    return table(("point", "what holds", "checks"), rows)


# ---- Markdown --------------------------------------------------------------------------------------------------------


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[_cell(text) for text in row] for row in rows]
    lines = [titles, ["---"] * len(titles), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """One line; a bar ends no cell, and `<` outside of code opens no tag."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part.replace("<", "&lt;") if n % 2 == 0 else part for n, part in enumerate(parts))


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def codes(words: Iterable[object]) -> str:
    return ", ".join(map(code, words))


def first_party() -> dict[str, Any]:
    """Our own connectors by name: another one that happens to be installed changes no page."""
    from counterflow.configuration import makers

    ours = {n: m for n, m in makers().items() if type(m).__module__.startswith("counterflow.connectors.")}
    return dict(sorted(ours.items()))


# ---- what happens and what is done: dataclasses with comments behind their fields ------------------------------------


@dataclasses.dataclass(frozen=True)
class Field:
    name: str
    kind: str
    default: str
    means: str


def fields_of(cls: type) -> list[Field]:
    """The fields of a dataclass as its source has them, with the comment that stands behind each."""
    source = Path(str(import_module(cls.__module__).__file__)).read_text("utf-8")
    lines = io.StringIO(source).readline
    said = {t.start[0]: t.string.lstrip("# ") for t in tokenize.generate_tokens(lines) if t.type == tokenize.COMMENT}
    tree = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    return [
        Field(
            ast.unparse(node.target),
            ast.unparse(node.annotation),
            "" if node.value is None else ast.unparse(node.value),
            said.get(node.end_lineno or node.lineno, ""),
        )
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
    ]


def sentence(cls: type) -> str:
    """The docstring as one paragraph; empty where the class has none of its own."""
    text = " ".join((cls.__doc__ or "").split())
    return "" if text.startswith(f"{cls.__name__}(") else text


def _catalogue(classes: Iterable[type], more: Callable[[type], str] = lambda _: "") -> str:
    parts = []
    for cls in classes:
        rows = [(code(f.name), code(f.kind), code(f.default) or "required", f.means) for f in fields_of(cls)]
        parts += [f"### {cls.__name__}", sentence(cls), more(cls)]
        parts += [table(("field", "type", "default", ""), rows)] if rows else []
    return "\n\n".join(filter(None, parts))


def facts() -> str:
    from counterflow.core.facts import BODIES, OPENS_AFTER_SECONDS

    def opens(cls: type) -> str:
        wait = OPENS_AFTER_SECONDS.get(cls.__name__)
        if wait is None:
            return ""
        return "Opens a case of its own when none is known" + (f", after waiting {wait} s for one." if wait else ".")

    return _catalogue(BODIES.values(), opens)


def effects() -> str:
    from counterflow.core.effects import COMMANDS, PRIORITY

    def about(cls: type) -> str:
        name = cls.__name__
        able = [
            f"{code(connector)} {_exactly_once(maker.manifest.commands[name])}"
            for connector, maker in first_party().items()
            if name in maker.manifest.commands
        ]
        if name == "Look":
            able = ["every connector with feeds (a read: it may be repeated)"]
        return f"Priority class: {code(PRIORITY[name])}. Exactly once: {'; '.join(able) or 'no connector yet'}."

    return _catalogue(COMMANDS.values(), about)


def _exactly_once(support: Any) -> str:
    hours = support.key_retention_seconds // 3600
    kept = f", keys kept {hours} h" if hours else ""
    settle = f", looked up after {support.settle_seconds:g} s" if support.settle_seconds else ""
    blind = "" if support.findable else ", never looked up"
    return f"{support.idempotency.name.lower()}{kept}{settle}{blind}"


def values() -> str:
    """The dataclasses that facts and effects are made of."""
    from counterflow.core.effects import COMMANDS
    from counterflow.core.facts import BODIES

    known = [*BODIES.values(), *COMMANDS.values()]
    found: list[type] = []
    todo = list(known)
    while todo:
        cls = todo.pop(0)
        for hint in typing.get_type_hints(cls).values():
            for inner in _inside(hint):
                if dataclasses.is_dataclass(inner) and inner not in found and inner not in known:
                    found.append(inner)
                    todo.append(inner)
    return _catalogue(sorted(found, key=lambda cls: cls.__name__))


def _inside(hint: Any) -> list[type]:
    inner = typing.get_args(hint)
    if inner:
        return [each for one in inner for each in _inside(one)]
    return [hint] if isinstance(hint, type) else []


# ---- cases -----------------------------------------------------------------------------------------------------------


def axis(name: str) -> str:
    from counterflow.core.returns.states import mermaid

    return f"```mermaid\n{mermaid(name)}\n```"


def exceptions() -> str:
    from counterflow.core.returns.exceptions import CLASSES

    rows = [
        (
            code(name),
            each.severity,
            each.owner.replace("_", " "),
            f"{each.due_hours} h",
            f"[{each.playbook}](../operations/playbooks.md#{each.playbook})",
            codes(each.actions),
        )
        for name, each in CLASSES.items()
    ]
    return table(("class", "severity", "owner", "due", "playbook", "actions"), rows)


def stories() -> str:
    from counterflow.sandbox.stories import STORIES, title

    return table(("story", "what happens"), [(code(name), title(story)) for name, story in STORIES.items()])


# ---- policies --------------------------------------------------------------------------------------------------------


def policy_columns() -> str:
    from counterflow.core.policy.vocabulary import COLUMNS, Choice

    short = {"country": "ISO 3166-1 codes, `EU`, `EEA`", "currency": "ISO 4217 codes"}
    rows = []
    for name, column in COLUMNS.items():
        words = codes(map(_toml, column.words)) if isinstance(column, Choice) else f"{column.low} to {column.high}"
        rows.append((code(name), short.get(name, words), column.means))
    return table(("column", "values", ""), rows)


def _toml(word: object) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word)


def policy_answers() -> str:
    from counterflow.core.policy.vocabulary import TABLES, Amount, Ppm, PpmByGrade, Word

    told = {Ppm: "parts per million", PpmByGrade: "parts per million by grade", Amount: "money"}
    rows = [
        (
            code(name),
            code(output),
            codes(kind.words) if isinstance(kind, Word) else told[type(kind)],
            "yes" if kind.required else "",
        )
        for name, outputs in TABLES.items()
        for output, kind in outputs.items()
    ]
    return table(("table", "answer", "values", "required"), rows)


def policy_floor() -> str:
    from counterflow.core.policy.floor import GROUNDS, LIMITS
    from counterflow.core.policy.vocabulary import COLUMNS
    from counterflow.core.policy.words import in_words

    grounds = [
        (
            code(name),
            code(row.id),
            "; ".join(in_words(column, cell, COLUMNS[column]) for column, cell in row.cells.items()),
            "applies" if row.then["applies"] is True else "does not apply",
            row.note,
        )
        for name, ground in GROUNDS.items()
        for row in ground.rows[:-1]
    ]
    limits = [
        (
            code(limit.table),
            codes(limit.grounds),
            code(limit.output),
            "; ".join(f"{code(was)} becomes {code(now)}" for was, now in limit.never.items()) or "nothing is charged",
            limit.source,
        )
        for limit in LIMITS
    ]
    return "\n\n".join(
        (
            "### Grounds",
            table(("ground", "row", "when", "then it", "source"), grounds),
            "### Limits",
            table(("table", "on these grounds", "answer", "limit", "source"), limits),
        )
    )


# ---- settings, connectors --------------------------------------------------------------------------------------------


def settings() -> str:
    from counterflow.settings import Settings

    rows = [
        (code(f"COUNTERFLOW_{name.upper()}"), _kind(field.annotation), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return table(("variable", "type", "default", ""), rows)


def configuration() -> str:
    from counterflow.configuration import ConnectionModel, PlaceModel, RoutesModel, SettlementModel

    parts = (
        ("connections.NAME", ConnectionModel),
        ("[places]", PlaceModel),
        ("routes", RoutesModel),
        ("settlement", SettlementModel),
    )
    return "\n\n".join(f"### `[{name}]`\n\n{_model(model)}" for name, model in parts)


def connectors() -> str:
    parts = []
    for name, maker in first_party().items():
        manifest = maker.manifest
        limits = manifest.limits
        parts += [
            f"### {name}: {manifest.title}",
            f"Roles: {', '.join(manifest.roles)}. Feeds: "
            + (", ".join(f"{code(f.name)} every {f.every_seconds} s" for f in manifest.feeds) or "none")
            + f". Limits: {limits.concurrency} calls at once, {limits.per_second:g} per second.",
            _model(maker.Config),
        ]
        for inner in _models(maker.Config):
            parts += [f"`{inner.__name__}`: {sentence(inner)}", _model(inner)]
    return "\n\n".join(parts)


def _model(model: type[BaseModel]) -> str:
    rows = [
        (code(name), _kind(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(("field", "type", "default", ""), rows)


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [each for field in model.model_fields.values() for each in _inside(field.annotation)]
    return [each for each in dict.fromkeys(inner) if issubclass(each, BaseModel)]


_KINDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def _kind(annotation: Any) -> str:
    if annotation in _KINDS:
        return _KINDS[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " or ".join(map(code, inner))
    if origin in (typing.Union, types.UnionType):
        return _kind(next(each for each in inner if each is not type(None)))
    if origin is dict:
        return f"table of {_kind(inner[1])}"
    if origin in (list, tuple, frozenset):
        return f"list of {_kind(inner[0])}"
    if origin is typing.Annotated:
        return _kind(inner[0])
    return "secret" if issubclass(annotation, SecretStr) else code(annotation.__name__)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    value = value.value if isinstance(value, Enum) else value
    value = list(value) if isinstance(value, (tuple, frozenset)) else value
    return code(_toml(value)) if value not in ("", [], {}) else "empty"


# ---- the doors -------------------------------------------------------------------------------------------------------


def cli() -> str:
    from counterflow.cli import app

    text = app.generate_docs(recursive=True, heading_level=1, usage_name="counterflow")
    text = text.replace(" -m tools.docs", "")  # how this very program was called, in the usage of nested commands
    return text[text.index("## counterflow ") :]


def openapi() -> dict[str, Any]:
    """The document of the API. It needs no database: nothing is called."""
    from counterflow.api.app import make_app
    from counterflow.api.services import Services

    unused: Any = None
    return make_app(Services(unused, unused, unused, {}, unused, b"")).openapi()


def api() -> str:
    rows = [
        (
            code(f"{method.upper()} {path}"),
            code(operation.get("x-permission", "")) or "none",
            operation.get("description", ""),
        )
        for path, methods in openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    return table(("endpoint", "permission", ""), rows)


def permissions() -> str:
    from counterflow.api.access import PERMISSIONS, ROLES

    rows = [
        (code(name), function or "any", *("yes" if role in roles else "" for role in ROLES))
        for name, (function, roles) in PERMISSIONS.items()
    ]
    return table(("permission", "function", *ROLES), rows)


def metrics() -> str:
    sources = [ROOT / "src/counterflow/api" / name for name in ("metrics.py", "app.py")]
    pairs = [pair for path in sources for pair in re.findall(r'"(counterflow_\w+)",\s+"([^"]+)"', path.read_text())]
    return table(("metric", ""), [(code(name), text) for name, text in pairs])


PARTS: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        *(axis, exceptions, stories, facts, effects, values),
        *(policy_columns, policy_answers, policy_floor, settings, configuration, connectors),
        *(cli, api, permissions, metrics, index, points),
    )
}


def main(arguments: Sequence[str]) -> int:
    check = "--check" in arguments
    stale = []
    for path in pages():
        text = path.read_text("utf-8")
        if (new := filled(text)) != text:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(new, "utf-8")
    if check and stale:
        print(f"stale: {', '.join(stale)}: run `make docs`", file=sys.stderr)
        return 1
    print(*(stale or ["nothing changed"]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

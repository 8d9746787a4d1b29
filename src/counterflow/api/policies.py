"""Policies: the versions that count, checking a draft, and what a table answers for given inputs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from counterflow.api.problems import Problem, invalid, not_found
from counterflow.api.route import The, make_router, needs
from counterflow.api.services import Services
from counterflow.api.shapes import Page, Strict
from counterflow.core.money import Money
from counterflow.core.policy import TABLES, PolicySet, Review, evaluate, explain, in_force, parse, run_golden
from counterflow.core.policy.evaluate import NO_FLAGS
from counterflow.core.policy.floor import apply, explain_floor
from counterflow.core.policy.table import Problem as PolicyProblem
from counterflow.guards import compile_guard

router = make_router("policies")
TEXT_MOST = 200_000


class Version(BaseModel):
    version: str
    name: str
    valid_from: datetime
    in_force: bool
    rows: dict[str, int] = Field(description="Table -> how many rows")
    golden: int = Field(description="Agreed cases that come with it")


class Finding(BaseModel):
    severity: str
    table: str
    row: str
    line: int
    what: str
    next_move: str


class Verdict(BaseModel):
    """`holds`: there is no error. `version` is empty where the text is no policy."""

    holds: bool
    version: str
    findings: list[Finding]


class Draft(Strict):
    toml: str = Field(max_length=TEXT_MOST, description="A whole policy set, as policies/*.toml has it")


class Question(Strict):
    """Inputs as the vocabulary names them; flags that are left out are false."""

    table: str = Field(pattern=r"^[a-z_]{1,30}$")
    inputs: dict[str, StrictBool | StrictInt | StrictStr] = Field(max_length=100)
    version: str = Field("", max_length=40, description="Empty: the one in force now")


class Answer(BaseModel):
    needs_review: bool
    version: str
    row: str
    outputs: dict[str, str | int | bool | dict[str, int | str]]
    sentence: str
    law: str = Field(description="What the statutory floor changed, and its source")


@router.get("/policies", **needs("policies.read"))
async def list_policies(the: The) -> Page[Version]:
    """All versions, the newest start first."""
    now = in_force(the.setting.policies, the.clock())
    versions = sorted(the.setting.policies, key=lambda each: each.valid_from, reverse=True)
    return Page(items=[_version(each, each is now) for each in versions])


@router.get("/policies/{version}", **needs("policies.read", also=[404]))
async def show_policy(the: The, version: Annotated[str, Path(pattern=r"^pv_[0-9a-z]{26}$", max_length=29)]) -> Version:
    """One version."""
    found = _find(the, version)
    return _version(found, found is in_force(the.setting.policies, the.clock()))


@router.post("/policies/check", **needs("policies.read", post=True))
async def check_policy(body: Draft) -> Verdict:
    """Check a draft completely: unknown words, rows never reached, gaps, overlaps, guards."""
    return await run_in_threadpool(check_text, body.toml)


@router.post("/policies/test", **needs("policies.read", post=True))
async def test_policy(body: Draft) -> Verdict:
    """Check a draft and run the agreed cases that come with it."""
    return await run_in_threadpool(check_text, body.toml, golden=True)


@router.post("/policies/explain", **needs("policies.read", also=[404], post=True))
async def explain_policy(the: The, body: Question) -> Answer:
    """What a table answers for these inputs, by which row, why, and what the law makes of it."""
    found = _find(the, body.version) if body.version else in_force(the.setting.policies, the.clock())
    if found is None:
        raise Problem("conflict", "No policy is in force yet: see valid_from of GET /policies")
    if body.table not in found.tables:
        raise invalid("body.table", f"there is no table {body.table}; use one of {', '.join(TABLES)}")
    return explained(found, body.table, dict(body.inputs))


def check_text(text: str, *, golden: bool = False) -> Verdict:
    result = parse(text, compile_guard)
    if not isinstance(result, PolicySet):
        return Verdict(holds=False, version="", findings=_findings(result))
    found = run_golden(result) if golden else []
    return Verdict(holds=not found, version=result.version, findings=_findings(found))


def explained(policies: PolicySet, table: str, inputs: dict[str, object]) -> Answer:
    inputs = {**NO_FLAGS, **inputs}
    hit = evaluate(policies.tables[table], inputs)
    if isinstance(hit, Review):
        return _review(hit)
    floored = apply(hit, inputs)
    if isinstance(floored, Review):
        return _review(floored)
    return Answer(
        needs_review=False,
        version=hit.version,
        row=hit.row,
        outputs={name: _plain(value) for name, value in floored.outputs.items()},
        sentence=explain(hit),
        law=explain_floor(floored),
    )


def _review(review: Review) -> Answer:
    return Answer(
        needs_review=True, version=review.version, row=review.row, outputs={}, sentence=explain(review), law=""
    )


def _plain(value: object) -> str | int | bool | dict[str, int | str]:
    if isinstance(value, Money):
        return {"minor": value.minor, "currency": value.currency}
    if isinstance(value, (str, int, bool)):
        return value
    assert isinstance(value, dict) or hasattr(value, "items")
    return dict(value.items())


def _version(policies: PolicySet, now: bool) -> Version:
    rows = {name: len(table.rows) for name, table in policies.tables.items()}
    return Version(
        version=policies.version,
        name=policies.name,
        valid_from=policies.valid_from,
        in_force=now,
        rows=rows,
        golden=len(policies.golden),
    )


def _findings(problems: Iterable[PolicyProblem]) -> list[Finding]:
    return [
        Finding(severity=p.severity, table=p.table, row=p.row, line=p.line, what=p.what, next_move=p.next_move)
        for p in problems
    ]


def _find(the: Services, version: str) -> PolicySet:
    found = next((each for each in the.setting.policies if each.version == version), None)
    if found is None:
        raise not_found(f"There is no policy version {version}")
    return found

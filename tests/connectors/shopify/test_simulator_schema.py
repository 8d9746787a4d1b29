"""Every type, field, argument and enum value that the simulated shop answers is Shopify's own."""

from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
    validate_schema,
)

from counterflow.connectors.shopify import schemas
from counterflow.connectors.shopify.simulator.endpoint import schema

VERSION = "2026-07"


@pytest.fixture(scope="module")
def official(official_folder: Path) -> GraphQLSchema:
    return schemas.load(VERSION, official_folder)


def test_ours_is_a_valid_schema():
    assert validate_schema(schema()) == []


def test_all_of_ours_is_in_the_official_schema(official: GraphQLSchema):
    assert list(strangers(schema(), official)) == []


def test_the_check_finds_what_is_not_shopifys(official: GraphQLSchema):
    made_up = build_schema(
        "type QueryRoot { order(name: ID!): Order } type Order { colour: String } schema { query: QueryRoot }"
    )
    assert set(strangers(made_up, official)) == {"QueryRoot.order(name)", "Order.colour"}


def strangers(ours: GraphQLSchema, official: GraphQLSchema) -> Any:
    for name, mine in ours.type_map.items():
        if name.startswith("__") or (
            name in ("String", "Int", "Float", "Boolean", "ID") and is_specified_scalar_type(mine)
        ):
            continue
        theirs = official.type_map.get(name)
        if type(theirs) is not type(mine):
            yield name
        elif isinstance(mine, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
            yield from (f"{name}.{value}" for value in mine.values if value not in theirs.values)
        elif isinstance(mine, GraphQLUnionType) and isinstance(theirs, GraphQLUnionType):
            yield from (f"{name}|{t.name}" for t in mine.types if t.name not in {u.name for u in theirs.types})
        elif isinstance(mine, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            assert isinstance(theirs, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType)
            yield from _fields(name, mine, theirs)


def _fields(name: str, mine: Any, theirs: Any) -> Any:
    for field, ours in mine.fields.items():
        known = theirs.fields.get(field)
        if known is None or str(known.type) != str(ours.type):
            yield f"{name}.{field}"
            continue
        for argument, value in getattr(ours, "args", {}).items():
            if argument not in known.args or str(known.args[argument].type) != str(value.type):
                yield f"{name}.{field}({argument})"
    for field, known in theirs.fields.items():  # what Shopify demands of an input, we demand too
        if isinstance(mine, GraphQLInputObjectType) and str(known.type).endswith("!") and field not in mine.fields:
            yield f"{name}.{field} is missing"

"""What another version of the Admin API changes for the documents that we send and the inputs that we fill. Pure.

Three things are asked of both schemas: is each document valid, do the inputs have the fields that we send, and has what
we use been deprecated, or changed its type, its values or whether it may be null. A fourth is not in the types at all:
which mutations demand `@idempotent`, which Shopify says in their descriptions and enforces at run time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    is_required_input_field,
    parse,
    type_from_ast,
    validate,
    visit,
)

from counterflow.sdk.upgrades import Change

_SINCE = re.compile(r"[Aa]s of (?:version )?`?(20\d\d-\d\d)`?, the idempotency key is required")
_ORDER = ("breaks", "deprecated", "look")


def changes(
    old: GraphQLSchema,
    new: GraphQLSchema,
    version: str,
    documents: Mapping[str, str],
    inputs: Mapping[str, Iterable[str]],
) -> list[Change]:
    """What changes from `old` to `new`, which is `version`; `inputs`: input type -> the fields of it that we fill."""
    found: set[Change] = set()
    for name, text in documents.items():
        document = parse(text)
        known = {error.message for error in validate(old, document)}
        wrong = [error.message for error in validate(new, document) if error.message not in known]
        wrong += [f"{each} has to carry @idempotent" for each in missing_keys(document, demanded(new, version))]
        found |= {Change("breaks", name, message) for message in wrong}
        before = dict(used(old, document))
        for place, now in used(new, document):
            if place in before:
                found |= set(_compared(place, before[place], now))
    for kind, fields in inputs.items():
        found |= set(_input(old.type_map.get(kind), new.type_map.get(kind), kind, set(fields)))
    return sorted(found, key=lambda change: (_ORDER.index(change.kind), change.where, change.what))


def demanded(schema: GraphQLSchema, version: str) -> set[str]:
    """The mutations that refuse to run without `@idempotent` in this version."""
    fields = schema.mutation_type.fields if schema.mutation_type else {}
    told = {name: _SINCE.search(field.description or "") for name, field in fields.items()}
    return {name for name, since in told.items() if since and since[1] <= version}


def missing_keys(document: DocumentNode, demanding: Iterable[str]) -> list[str]:
    """The mutations of a document that have to carry `@idempotent` and do not."""
    wanted = set(demanding)
    return [
        field.name.value
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        for field in node.selection_set.selections
        if isinstance(field, FieldNode) and field.name.value in wanted
        if not any(directive.name.value == "idempotent" for directive in field.directives or ())
    ]


def used(schema: GraphQLSchema, document: DocumentNode) -> list[tuple[str, Any]]:
    """What a document uses by its place: "Type.field", "Type.field(argument)", "Enum.VALUE", "Enum" of a variable."""
    info = TypeInfo(schema)
    found: list[tuple[str, Any]] = []

    class Uses(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            parent, field = info.get_parent_type(), info.get_field_def()
            if parent and field:
                place = f"{parent.name}.{node.name.value}"
                found.append((place, field))
                given = [argument.name.value for argument in node.arguments or ()]
                found.extend((f"{place}({name})", field.args[name]) for name in given if name in field.args)

        def enter_enum_value(self, node: EnumValueNode, *_: Any) -> None:
            kind = get_named_type(info.get_input_type())
            if isinstance(kind, GraphQLEnumType) and node.value in kind.values:
                found.append((f"{kind.name}.{node.value}", kind.values[node.value]))

        def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
            kind = get_named_type(type_from_ast(schema, node.type))
            if isinstance(kind, GraphQLEnumType):  # what an input is made of is not in a document: `inputs` has it
                found.append((kind.name, GraphQLArgument(kind)))

    visit(document, TypeInfoVisitor(info, Uses()))
    return found


def _compared(place: str, before: Any, now: Any) -> Iterator[Change]:
    """Two of a kind. An answer may promise more than it did, what is given may be asked for less; else it breaks."""
    if now.deprecation_reason and not before.deprecation_reason:
        yield Change("deprecated", place, " ".join(now.deprecation_reason.split()))
    if not hasattr(now, "type"):
        return
    was, became = str(before.type), str(now.type)
    answer = isinstance(now, GraphQLField)
    if was != became and not (became == f"{was}!" if answer else was == f"{became}!"):
        kind = "look" if answer and was == f"{became}!" else "breaks"
        yield Change(kind, place, f"{was} became {became}" + (": it may be null now" if kind == "look" else ""))
    old, new = get_named_type(before.type), get_named_type(now.type)
    if isinstance(old, GraphQLEnumType) and isinstance(new, GraphQLEnumType):
        for word, names in (
            ("new", new.values.keys() - old.values.keys()),
            ("gone", old.values.keys() - new.values.keys()),
        ):
            if names:
                yield Change("look", new.name, f"{word}: {', '.join(sorted(names))}")


def _input(before: Any, now: Any, kind: str, fields: set[str]) -> Iterator[Change]:
    was = before.fields if isinstance(before, GraphQLInputObjectType) else {}
    fresh = now.fields if isinstance(now, GraphQLInputObjectType) else {}
    for name in fields & was.keys():
        if name in fresh:
            yield from _compared(f"{kind}.{name}", was[name], fresh[name])
        else:
            yield Change("breaks", f"{kind}.{name}", "this field is gone")
    for name in fresh.keys() - fields:
        if is_required_input_field(fresh[name]) and not (name in was and is_required_input_field(was[name])):
            yield Change("breaks", f"{kind}.{name}", "this field is demanded now")

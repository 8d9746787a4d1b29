"""Names of the configuration to database ids: looked up at first use, and kept for a while."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.manifest import Config, PlaceConfig
from counterflow.connectors.odoo.procedure import WORDS
from counterflow.connectors.odoo.wires import major_of
from counterflow.sdk.outcomes import Rejected

_XML_ID = re.compile(r"[a-z_][a-z0-9_]*\.[A-Za-z0-9_.]+")
# model -> (what people call it, fields that a name may be in, the first that has it wins)
_NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "stock.location": ("location", ("complete_name", "name")),
    "account.journal": ("journal", ("code", "name")),
    "account.account": ("account", ("code", "name")),
    "account.tax": ("sales tax", ("name",)),
    "stock.warehouse": ("warehouse", ("code", "name")),
    "res.currency": ("active currency", ("name",)),
}
_OPERATIONS = {"in": "in_type_id", "internal": "int_type_id", "out": "out_type_id"}
_KEPT = timedelta(minutes=15)
_OWN_RAILS = ("cash", "gift_card", "store_credit", "bank")  # paid by us: the rail says more than who asked


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    sku: str
    tracking: str  # none | serial | lot
    invoice_policy: str  # order | delivery


class Names:
    """Raises Rejected with the next move for what is not configured, not there, or there twice."""

    def __init__(self, client: Client, config: Config) -> None:
        self.client, self.config = client, config
        self._since: datetime | None = None
        self.forget()

    def forget(self) -> None:
        """Look everything up again: something we knew is gone, or knew for too long."""
        self._ids: dict[tuple[str, str], int] = {}
        self._products: dict[str, Product] = {}
        self._warehouses: dict[str, dict[str, Any]] = {}
        self._taxes: dict[int, dict[str, Any]] = {}
        self._kits: bool | None = None
        self._per_line: bool | None = None

    def keep_fresh(self, now: datetime) -> None:
        """Names are given to other records now and then (a SKU, a location): after a while they are looked up again."""
        if self._since is None or now - self._since > _KEPT:
            if self._since is not None:
                self.forget()
            self._since = now

    def place(self, place: str) -> PlaceConfig:
        found = self.config.places.get(place)
        if found is None:
            raise Rejected(
                f"place {place!r} is not mapped to Odoo: add it under `places` of the connection, then retry",
                code="not_configured",
                field=f"places.{place}",
            )
        return found

    async def location(self, place: str, kind: str) -> int:
        name = self.place(place).locations.get(kind)
        if not name:
            raise Rejected(
                f"{place} has no Odoo location for {kind}: add `places.{place}.locations.{kind}`, then retry",
                code="not_configured",
                field=f"places.{place}.locations.{kind}",
            )
        return await self.id("stock.location", name)

    async def customers(self) -> int:
        """Where goods come from that did not leave with the order: Odoo's own customer location."""
        if (key := ("stock.location", "")) not in self._ids:
            rows = await self.client.search("stock.location", [["usage", "=", "customer"]], ["id"], 1, "id")
            self._ids[key] = self._only(rows, "usage = customer")
        return self._ids[key]

    async def kits(self) -> bool:
        """Whether this Odoo has kits at all: without the Manufacturing app there is not even the field."""
        if self._kits is None:
            answer = await self.client.ask("stock.move", "fields_get", allfields=["bom_line_id"], attributes=["type"])
            self._kits = isinstance(answer, dict) and "bom_line_id" in answer
        return self._kits

    async def operation(self, place: str, direction: str) -> int:
        """The operation type of a place; direction: in | internal | out."""
        config = self.place(place)
        own = {"in": config.picking_type_in, "internal": config.picking_type_internal}.get(direction, "")
        if not own:
            return int((await self._warehouse(config.warehouse))[_OPERATIONS[direction]])
        code, slash, sequence = own.partition("/")
        if not slash:
            return await self._external("stock.picking.type", own)
        if (key := ("stock.picking.type", own)) not in self._ids:
            warehouse = (await self._warehouse(code))["id"]
            domain = [["warehouse_id", "=", warehouse], ["sequence_code", "=", sequence]]
            self._ids[key] = self._only(await self.client.search("stock.picking.type", domain, ["id"], 2), own)
        return self._ids[key]

    async def journal(self, provider: str, rail: str) -> int:
        order = (rail, provider) if rail in _OWN_RAILS else (provider, rail)
        name = next((self.config.journals[word] for word in order if word in self.config.journals), "")
        if not name:
            raise Rejected(
                f"no journal for payments by {rail} of {provider or 'nobody'}: add `journals.{order[0]}`, then retry",
                code="not_configured",
                field=f"journals.{order[0]}",
            )
        return await self.id("account.journal", name)

    async def account(self, name: str, field: str) -> int:
        if not name:
            raise Rejected(
                f"`{field}` of the connection is empty: name the account, then retry",
                code="not_configured",
                field=field,
            )
        return await self.id("account.account", name)

    async def id(self, model: str, name: str) -> int:
        """The id of a configured name."""
        if (model, name) not in self._ids:
            self._ids[model, name] = await self._look_up(model, name)
        return self._ids[model, name]

    async def products(self, skus: set[str]) -> dict[str, Product]:
        """By SKU; what Odoo does not have is left out."""
        key = self.config.product_key
        if missing := sorted(skus - self._products.keys()):
            fields = [key, "tracking", "invoice_policy"]
            found: dict[str, Product] = {}  # of this search alone: another call may be looking for the same ones
            for row in await self.client.search("product.product", [[key, "in", missing]], fields):
                sku = str(row[key])
                if sku in found:
                    raise Rejected(
                        f"Odoo has several products {key} = {sku!r}: make it unique, then retry", code="twice"
                    )
                found[sku] = Product(row["id"], sku, row["tracking"] or "none", row["invoice_policy"] or "order")
            self._products |= found
        return {sku: self._products[sku] for sku in skus if sku in self._products}

    async def taxes(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Sales taxes by name, with what they add up to."""
        ids = [await self.id("account.tax", name) for name in names]
        if missing := [id for id in ids if id not in self._taxes]:
            for row in await self.client.read("account.tax", missing, ["amount", "amount_type", "price_include"]):
                self._taxes[row["id"]] = row
        return [self._taxes[id] for id in ids if id in self._taxes]

    async def words(self) -> dict[str, Any]:
        """What this version calls what."""
        return WORDS[18 if major_of(await self.client.version()) < 19 else 19]

    async def rounds_per_line(self) -> bool:
        """Whether taxes are rounded on each line: then prices with tax included add up to the total to the cent."""
        if self._per_line is None:
            rows = await self.client.search("res.company", [], ["tax_calculation_rounding_method"])
            self._per_line = all(row["tax_calculation_rounding_method"] == "round_per_line" for row in rows)
        return self._per_line

    async def _warehouse(self, code: str) -> dict[str, Any]:
        if code not in self._warehouses:
            id = await self.id("stock.warehouse", code)
            self._warehouses[code] = (await self.client.read("stock.warehouse", [id], list(_OPERATIONS.values())))[0]
        return self._warehouses[code]

    async def _look_up(self, model: str, name: str) -> int:
        if _XML_ID.fullmatch(name) and (found := await self.client.find(name)) and found[0] == model:
            return found[1]
        label, fields = _NAMED[model]
        extra = [["type_tax_use", "=", "sale"]] if model == "account.tax" else []
        for field in fields:
            rows = await self.client.search(model, [[field, "=", name], *extra], ["id"], 2)
            if rows:
                return self._only(rows, name)
        raise Rejected(
            f"Odoo has no {label} {name!r}: correct the name in the connection, or make it there",
            code="not_configured",
        )

    async def _external(self, model: str, name: str) -> int:
        found = await self.client.find(name)
        if found is None or found[0] != model:
            raise Rejected(f"Odoo has no {model} with the external id {name!r}: correct it in the connection")
        return found[1]

    @staticmethod
    def _only(rows: list[dict[str, Any]], name: str) -> int:
        if len(rows) != 1:
            many = "several records" if rows else "nothing"
            raise Rejected(
                f"{name!r} means {many} in Odoo: use a complete name or an external id", code="not_configured"
            )
        return int(rows[0]["id"])

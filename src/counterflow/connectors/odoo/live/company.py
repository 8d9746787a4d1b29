"""The company of the proof: accounts, journals, places, a tax and goods of its own, made or found by their names.

What is made once (accounts, journals, places) is found again by the next run; goods and customers belong to one run,
so that their costs and quantities are known to the piece.
"""

from dataclasses import dataclass, field
from typing import Any

from counterflow.connectors.odoo.live.person import Person

# role -> (code, name, type, may be matched)
ACCOUNTS = {
    "stock": ("cf1101", "Proof: stock valuation", "asset_current", False),
    "stock_in": ("cf1102", "Proof: stock received, not billed", "asset_current", True),
    "stock_out": ("cf1103", "Proof: stock delivered, not invoiced", "asset_current", True),  # by a till's session
    "clearing": ("cf1201", "Proof: provider clearing", "asset_current", True),
    "till": ("cf1202", "Proof: till clearing", "asset_current", True),
    "gift": ("cf2201", "Proof: gift cards", "liability_current", True),
    "tax": ("cf2202", "Proof: tax received", "liability_current", False),
    "income": ("cf4001", "Proof: sales", "income", False),
    "fee": ("cf4002", "Proof: restocking fees", "income_other", False),
    "cogs": ("cf6001", "Proof: cost of goods sold", "expense", False),
    "loss": ("cf6002", "Proof: stock written off", "expense", False),
    "psp_fees": ("cf6003", "Proof: provider fees", "expense", False),
}
# code -> (name, account on which its payments wait)
JOURNALS = {
    "CFPSP": ("Proof: provider", "clearing"),
    "CFGFT": ("Proof: gift cards", "gift"),
    "CFTIL": ("Proof: till", "till"),
}
BANK = "CFBNK"
TILL = "Proof till"  # made by the points that sell at it
TAX = "cf 19% incl."
FOREIGN, RATE = "CHF", 2.0  # so many for one unit of the company's currency


@dataclass(frozen=True, slots=True)
class Good:
    """`price` tax included, `cost`: minor units a piece; `parts` of a kit: good and number of pieces."""

    price: int
    cost: int
    policy: str = "delivery"
    tracking: str = "none"
    service: bool = False
    parts: tuple[tuple[str, int], ...] = ()


GOODS = {
    "TEE": Good(23_80, 8_00, "order"),
    "MUG": Good(11_90, 4_00),
    "OLD": Good(11_90, 4_00),  # its cost changes on the way
    "CAM": Good(238_00, 120_00, tracking="serial"),
    "CREAM": Good(35_70, 7_00, tracking="lot"),
    "PART-A": Good(5_95, 2_00),
    "PART-B": Good(11_90, 3_00),
    "KIT": Good(35_70, 7_00, parts=(("PART-A", 2), ("PART-B", 1))),
    "SHIP": Good(5_95, 0, "order", service=True),
}
SERIALS, LOTS = [f"S{n}" for n in range(1, 31)], ["LOT-A", "LOT-B"]
HELD = 400  # pieces of each on hand at the start


@dataclass
class Company:
    """Ids by our words."""

    person: Person
    run: str
    currency: str = ""
    id: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    journals: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # place -> complete name
    warehouses: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)
    foreign: str = ""
    foreign_pricelist: int = 0
    pricelist: int = 0

    def sku(self, good: str) -> str:
        return f"CF-{self.run}-{good}"

    def lot(self, name: str) -> str:
        return f"{name}-{self.run}"

    def config(self) -> dict[str, Any]:
        """The connection's tables for this company."""
        stock = {role: self.names[role] for role in ("quarantine", "refurbish", "scrap", "vendor")}
        return {
            "places": {
                "wh-1": {
                    "warehouse": self.codes["wh-1"],
                    "locations": {
                        "returns": self.names["returns"],
                        "sellable": self.names["sellable"],
                        "quarantine": stock["quarantine"],
                        "refurbishment": stock["refurbish"],
                        "repair": stock["refurbish"],
                        "scrap": stock["scrap"],
                        "vendor": stock["vendor"],
                    },
                },
                "store-1": {
                    "warehouse": self.codes["store-1"],
                    "locations": {"returns": self.names["store_returns"], "sellable": self.names["store"]},
                },
            },
            "journals": {"psp": "CFPSP", "cash": "CFTIL", "gift_card": "CFGFT", "store_credit": "CFGFT"},
            "clearing_accounts": {"psp": ACCOUNTS["clearing"][0]},
            "fees_account": ACCOUNTS["psp_fees"][0],
            "bank_journal": BANK,
            "taxes": {"DE-19": TAX},
            "components": {"restocking_fee": {"account": ACCOUNTS["fee"][0], "tax": TAX}},
            "repair_orders": True,
            "points_of_sale": (TILL,),
            "settle_seconds": 0,
        }


async def found(person: Person, run: str) -> Company:
    """Make or find everything. Raises Refused where this person may not make it: it takes an administrator's key."""
    company = Company(person, run)
    [row] = (await person.rows("res.company", [], "currency_id"))[:1]
    company.id = row["id"]
    company.currency = (await person.row("res.currency", row["currency_id"], "name"))["name"]
    await _accounts(company)
    tax = await _tax(company)
    await _places(company)
    await _currencies(company, row["currency_id"])
    await _goods(company, tax)
    return company


async def _accounts(company: Company) -> None:
    person = company.person
    for role, (code, name, kind, matched) in ACCOUNTS.items():
        values = {"name": name, "account_type": kind, "reconcile": matched}
        id = company.accounts[role] = await person.find_or_make("account.account", {"code": code}, values)
        if matched:
            await person.write("account.account", id, reconcile=True)  # one of an earlier run may not be
    for code, (name, role) in JOURNALS.items():
        id = company.journals[code] = await person.find_or_make(
            "account.journal", {"code": code}, {"name": name, "type": "bank"}
        )
        for line in await person.rows("account.payment.method.line", [["journal_id", "=", id]], "payment_account_id"):
            if line["payment_account_id"] != company.accounts[role]:
                await person.write("account.payment.method.line", line["id"], payment_account_id=company.accounts[role])
    id = await person.find_or_make("account.journal", {"code": BANK}, {"name": "Proof: bank", "type": "bank"})
    company.journals[BANK] = id
    company.accounts["bank"] = (await person.row("account.journal", id, "default_account_id"))["default_account_id"]
    [sales, *_] = await person.rows("account.journal", [["type", "=", "sale"]])
    company.journals["sales"] = sales["id"]


async def _tax(company: Company) -> int:
    shares: list[dict[str, Any]] = [
        {"repartition_type": "base"},
        {"repartition_type": "tax", "account_id": company.accounts["tax"]},
    ]
    repartition = [[0, 0, {"factor_percent": 100, **share}] for share in shares]
    values = {
        "amount": 19.0,
        "amount_type": "percent",
        "price_include_override": "tax_included",
        "invoice_repartition_line_ids": repartition,
        "refund_repartition_line_ids": repartition,
    }
    return await company.person.find_or_make("account.tax", {"name": TAX, "type_tax_use": "sale"}, values)


async def _places(company: Company) -> None:
    person = company.person
    fields = ("code", "name", "lot_stock_id", "view_location_id")
    warehouses = await person.rows("stock.warehouse", [], *fields)
    if len(warehouses) < 2:
        id = await person.make("stock.warehouse", {"code": "CFST", "name": "Proof: store"})
        warehouses.append(await person.row("stock.warehouse", id, *fields))
    main, store = warehouses[:2]
    company.codes = {"wh-1": main["code"], "store-1": store["code"]}
    company.warehouses = {"wh-1": main["id"], "store-1": store["id"]}
    beside = main["view_location_id"]
    loss: dict[str, Any] = {"usage": "inventory", **_valued_at(company, "loss")}
    made: dict[str, tuple[str, dict[str, Any]]] = {
        "returns": ("CF Returns", {"location_id": beside}),
        "quarantine": ("CF Quarantine", {"location_id": beside}),
        "refurbish": ("CF Refurbish", {"location_id": beside}),
        "scrap": ("CF Write-off", loss),  # below the warehouse it would count as on hand
        "store_returns": ("CF Store returns", {"location_id": store["view_location_id"]}),
    }
    company.places = {"sellable": main["lot_stock_id"], "store": store["lot_stock_id"]}
    for role, (name, values) in made.items():
        company.places[role] = await person.find_or_make("stock.location", {"name": name}, values)
    for role, usage in (("vendor", "supplier"), ("customers", "customer")):
        company.places[role] = (await person.rows("stock.location", [["usage", "=", usage]]))[0]["id"]
    for role, id in company.places.items():
        company.names[role] = (await person.row("stock.location", id, "complete_name"))["complete_name"]


def _valued_at(company: Company, role: str) -> dict[str, int]:
    account = company.accounts[role]
    if company.person.major < 19:
        return {"valuation_in_account_id": account, "valuation_out_account_id": account}
    return {"valuation_account_id": account}


async def _currencies(company: Company, own: int) -> None:
    """A second currency at a fixed rate, and a price list in it."""
    person = company.person
    name = company.foreign = FOREIGN if company.currency != FOREIGN else "GBP"
    domain = [["name", "=", name], ["active", "in", [True, False]]]
    [currency] = await person.rows("res.currency", domain, "active")
    if not currency["active"]:
        await person.write("res.currency", currency["id"], active=True)
    if not await person.rows("res.currency.rate", [["currency_id", "=", currency["id"]]]):
        rate = {"currency_id": currency["id"], "name": "2020-01-01", "company_rate": RATE}
        await person.make("res.currency.rate", rate)
    for attribute, id, label in (("pricelist", own, "Proof"), ("foreign_pricelist", currency["id"], f"Proof {name}")):
        made = await person.find_or_make("product.pricelist", {"name": label}, {"currency_id": id})
        setattr(company, attribute, made)


async def _goods(company: Company, tax: int) -> None:
    person, account = company.person, company.accounts
    values: dict[str, Any] = {
        "property_cost_method": "average",
        "property_valuation": "real_time",
        "property_account_income_categ_id": account["income"],
        "property_account_expense_categ_id": account["cogs"],
        "property_stock_valuation_account_id": account["stock"],
    }
    if person.major < 19:
        values["property_stock_account_input_categ_id"] = account["stock_in"]
        values["property_stock_account_output_categ_id"] = account["stock_out"]
    category = await person.find_or_make("product.category", {"name": "Proof goods"}, values)
    for name, good in GOODS.items():
        id = company.products[name] = await person.make(
            "product.product",
            {
                "default_code": company.sku(name),
                "name": f"{name.title()} {company.run}",
                "type": "service" if good.service else "consu",
                "is_storable": not good.service,
                "tracking": good.tracking,
                "categ_id": category,
                "invoice_policy": good.policy,
                "list_price": good.price / 100,
                "standard_price": good.cost / 100,
                "taxes_id": [[6, 0, [tax]]],
            },
        )
        if good.parts:
            template = (await person.row("product.product", id, "product_tmpl_id"))["product_tmpl_id"]
            parts = [[0, 0, {"product_id": company.products[part], "product_qty": n}] for part, n in good.parts]
            bom = {"product_tmpl_id": template, "type": "phantom", "product_qty": 1, "bom_line_ids": parts}
            await person.make("mrp.bom", bom)
        elif not good.service:
            await _count_in(company, name, good)


async def _count_in(company: Company, name: str, good: Good) -> None:
    person, product = company.person, company.products[name]
    rows: list[dict[str, Any]] = [{"inventory_quantity": HELD}]
    if good.tracking != "none":
        lots = SERIALS if good.tracking == "serial" else LOTS
        rows = []
        for lot in lots:
            id = await person.make("stock.lot", {"name": company.lot(lot), "product_id": product})
            company.lots[lot] = id
            rows.append({"lot_id": id, "inventory_quantity": 1 if good.tracking == "serial" else HELD})
    context = {"inventory_mode": True}
    place = {"product_id": product, "location_id": company.places["sellable"]}
    ids = [await person.make("stock.quant", {**place, **row}, context) for row in rows]
    await person.call("stock.quant", "action_apply_inventory", ids)

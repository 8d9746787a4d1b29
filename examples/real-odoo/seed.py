"""Prepare an empty test database of Odoo 18 or 19 for the stories. Runs inside Odoo, which gives it `env`:

    odoo-bin shell -d stories --no-http < seed.py

It makes the company of the simulated world (its currency, accounts, journals, places, goods, one customer) and the
dedicated user with the least rights that the connector needs, and prints the API keys of the administrator and, last,
of that user.
See docs/guides/real-odoo.md.
"""

import datetime

GOODS = (  # sku, name, price with tax, cost, tracking, pieces on hand
    ("TEE", "T-shirt", 20, 8, "none", 200),
    ("TEE-L", "T-shirt, large", 20, 8, "none", 200),
    ("HOODIE", "Hoodie", 50, 21, "none", 200),
    ("SOCKS", "Socks", 9, 2, "none", 200),
    ("MUG", "Mug", 10, 4, "none", 200),
    ("PLATE", "Plate", 15, 6, "none", 200),
    ("CAM", "Camera", 399, 210, "serial", [f"CAM-{n:04d}" for n in range(1, 9)]),
    ("CREAM", "Face cream", 25, 7, "lot", ["LOT-A", "LOT-B"]),
)
GROUPS = (
    "base.group_user",
    "sales_team.group_sale_salesman_all_leads",
    "stock.group_stock_user",
    "account.group_account_invoice",
    "account.group_account_basic",
)
WHERE_INSTALLED = ("point_of_sale.group_pos_user",)  # to read the tills


def make(model, **values):
    return env[model].create(values)  # noqa: F821 - Odoo's shell defines it


def find(model, *domain):
    return env[model].search(list(domain), limit=1)  # noqa: F821


def account(code, name, kind, **more):
    return find("account.account", ("code", "=", code)) or make(
        "account.account", code=code, name=name, account_type=kind, **more
    )


def journal(name, code, kind, clearing):
    """Payments of this journal wait on `clearing` until a payout or a count of the till settles them."""
    made = make("account.journal", name=name, code=code, type=kind)
    (made.inbound_payment_method_line_ids | made.outbound_payment_method_line_ids).payment_account_id = clearing


def seed(env):
    env["res.config.settings"].create(
        {"group_stock_multi_locations": True, "group_stock_production_lot": True}
    ).execute()
    company = env.company
    euro = env.ref("base.EUR")
    euro.active = True
    company.currency_id = euro  # Odoo refuses it once there are entries: take a database without any
    env["product.pricelist"].search([]).currency_id = euro  # a sale takes its currency from here

    journal("Stripe", "STRIP", "bank", account("101450", "Stripe clearing", "asset_current", reconcile=True))
    journal("Gift cards", "GIFT", "cash", account("211500", "Gift cards", "liability_current", reconcile=True))
    journal("Till", "CSH", "cash", account("101470", "Till clearing", "asset_current", reconcile=True))
    account("620100", "Payment provider fees", "expense")
    account("450100", "Restocking fees", "income_other")
    account("612600", "Goodwill and rounding", "expense")
    loss = account("612500", "Stock written off", "expense")

    tax = make(
        "account.tax",
        name="19% incl.",
        amount=19,
        amount_type="percent",
        type_tax_use="sale",
        price_include_override="tax_included",
    )
    due = account("251000", "Tax received", "liability_current")
    env.flush_all()
    env.invalidate_all()
    tax.repartition_line_ids.filtered(lambda row: row.repartition_type == "tax").account_id = due

    warehouse = find("stock.warehouse", ("code", "=", "WH"))
    store = make("stock.warehouse", name="Store 1", code="ST1")
    beside = warehouse.view_location_id.id  # beside the sellable stock: what lies below it counts as sellable
    make("stock.location", name="Quarantine", location_id=beside)
    make("stock.location", name="Refurbish", location_id=beside)
    accounts = ("valuation_account_id", "valuation_in_account_id", "valuation_out_account_id")  # 19, and two before
    named = {name: loss.id for name in accounts if name in env["stock.location"]}
    make("stock.location", name="Write-off", usage="inventory", **named)  # below WH it would count as on hand
    make("stock.location", name="Returns", location_id=store.view_location_id.id)

    category = make("product.category", name="Goods", property_cost_method="average", property_valuation="real_time")
    made = {}
    for sku, name, price, cost, tracking, held in GOODS:
        product = made[sku] = make(
            "product.product",
            default_code=sku,
            name=name,
            list_price=price,
            type="consu",
            is_storable=True,
            tracking=tracking,
            categ_id=category.id,
            invoice_policy="delivery",
            taxes_id=[(6, 0, tax.ids)],
        )
        product.standard_price = cost
        for lot in held if tracking != "none" else [""]:
            row = {"product_id": product.id, "location_id": warehouse.lot_stock_id.id}
            row["inventory_quantity"] = {"none": held, "serial": 1, "lot": 100}[tracking]
            if lot:
                row["lot_id"] = make("stock.lot", name=lot, product_id=product.id).id
            env["stock.quant"].with_context(inventory_mode=True).create(row).action_apply_inventory()
    service = {"type": "service", "invoice_policy": "order", "taxes_id": [(6, 0, tax.ids)]}
    make("product.product", default_code="SHIPPING", name="Shipping", list_price=5, **service)
    if "mrp.bom" in env:
        kit = make(
            "product.product",
            default_code="TABLEWARE",
            name="Mug and plate",
            list_price=24,
            type="consu",
            is_storable=True,
            categ_id=category.id,
            invoice_policy="delivery",
            taxes_id=[(6, 0, tax.ids)],
        )
        parts = [(0, 0, {"product_id": made[sku].id, "product_qty": 1}) for sku in ("MUG", "PLATE")]
        make("mrp.bom", product_tmpl_id=kit.product_tmpl_id.id, type="phantom", product_qty=1, bom_line_ids=parts)
    make("res.partner", name="Kim Example", email="kim@example.com")

    may = [env.ref(name) for name in GROUPS] + [env.ref(name, False) for name in WHERE_INSTALLED]
    groups = "group_ids" if "group_ids" in env["res.users"] else "groups_id"
    user = (
        env["res.users"]
        .with_context(no_reset_password=True)
        .create(
            {
                "name": "Returns Integration",
                "login": "returns-integration",
                "email": "returns@example.com",  # without one Odoo 18 refuses notes in the chatter
                "lang": "en_US",
                "tz": "UTC",
                groups: [(6, 0, [group.id for group in may if group])],
            }
        )
    )
    until = datetime.datetime.now() + datetime.timedelta(days=89)  # noqa: DTZ005 - Odoo wants it naive
    admin = env.ref("base.user_admin")  # for what that user may not do: the live proof makes products and accounts
    keys = {
        who: env["res.users.apikeys"].with_user(who)._generate("rpc", "counterflow", until) for who in (admin, user)
    }
    env.cr.commit()
    for who, key in keys.items():
        print(f"API key of {who.name} (login {who.login}): {key}")


seed(env)  # noqa: F821

"""Acts that sell: goods are entered, ordered, delivered, invoiced and paid, or sold and refunded at a till."""

from typing import Any

from counterflow.connectors.odoo.simulator.records import Env, Rec, Vals


def run(env: Env, model: str, method: str, ids: list[int], **arguments: Any) -> Any:
    return env.models[model].public[method](env, ids, **arguments)


def product_of(env: Env, sku: str) -> Rec:
    product = env.one("product.product", default_code=sku)
    if not product:
        raise LookupError(f"no product has the reference {sku!r}; see seed_products")
    return product


def _taxes(env: Env, names: list[Any]) -> list[int]:
    taxes = [
        env.rec("account.tax", name) if isinstance(name, int) else env.one("account.tax", name=name) for name in names
    ]
    if not all(taxes):
        raise LookupError(f"taxes {names} are not all known")
    return [tax.id for tax in taxes]


def place_of(env: Env, name: str) -> Rec:
    for place in env.search("stock.location", []):
        if place.complete_name == name:
            return place
    raise LookupError(f"no location is called {name!r}")


def seed_products(env: Env, payload: Vals) -> Vals:
    """`{"products": [{"sku", "name", "price", "cost", "barcode", "tracking", "type", "invoice_policy", "taxes",
    "stock": {location: quantity}, "lots": {location: {lot: quantity}}, "kit": [{"sku", "quantity"}]}]}`; a product
    that exists is left as it is. Answers `{sku: {product_id, template_id, lots: {name: id}}}`."""
    answer: Vals = {}
    for item in payload["products"]:
        product = env.one("product.product", default_code=item["sku"])
        product = product or _new_product(env, item)
        lots = {lot.raw("name"): lot.id for lot in env.find("stock.lot", product_id=product.id)}
        answer[item["sku"]] = {"product_id": product.id, "template_id": product.product_tmpl_id.id, "lots": lots}
    return answer


def _new_product(env: Env, item: Vals) -> Rec:
    service = item.get("type") == "service"
    kit = item.get("kit") or []
    category = env.one("product.category", name="AVCO perpetual").id
    product = env.create(
        "product.product",
        {
            "name": item.get("name", item["sku"]),
            "default_code": item["sku"],
            "barcode": item.get("barcode") or False,
            "type": "service" if service else "consu",
            "is_storable": not service,  # also a kit: without it Odoo takes no cost of it
            "categ_id": category,
            "tracking": item.get("tracking", "none"),
            "list_price": float(item.get("price", 0)),
            "standard_price": float(item.get("cost", 0)),
            "invoice_policy": item.get("invoice_policy", "order"),
            "taxes_id": [(6, 0, _taxes(env, item.get("taxes", ["15%"])))],
        },
    )
    if kit:
        env.create(
            "mrp.bom",
            {
                "product_tmpl_id": product.product_tmpl_id.id,
                "type": "phantom",
                "bom_line_ids": [
                    (0, 0, {"product_id": product_of(env, part["sku"]).id, "product_qty": part.get("quantity", 1)})
                    for part in kit
                ],
            },
        )
    counting = env.with_context(inventory_mode=True, inventory_name="initial stock")
    counts: list[tuple[str, Rec | None, float]] = [
        (place, None, quantity) for place, quantity in (item.get("stock") or {}).items()
    ]
    for place, lots in (item.get("lots") or {}).items():
        for name, quantity in lots.items():
            lot = env.one("stock.lot", name=name, product_id=product.id)
            lot = lot or env.create("stock.lot", {"name": name, "product_id": product.id})
            counts.append((place, lot, quantity))
    for place, counted_lot, quantity in counts:
        env.models["stock.quant"].public["create"](
            counting,
            {
                "product_id": product.id,
                "location_id": place_of(env, place).id,
                "lot_id": counted_lot.id if counted_lot else False,
                "inventory_quantity_auto_apply": quantity,
            },
        )
    return product


def sell(env: Env, payload: Vals) -> Vals:
    """A finished sale: `{"order_ref", "customer": {"ref", "name", "email"}, "lines": [{"sku", "quantity", "price",
    "discount", "taxes", "lots": [name]}], "currency", "warehouse": "WH", "payments": [{"journal": code, "amount",
    "ref"}]}`; `"deliver"`, `"invoice"` and `"pay"` may be false. Answers ids and names of everything made."""
    customer = payload.get("customer") or {"ref": "walk-in", "name": "Walk-in customer"}
    partner = env.one("res.partner", ref=customer["ref"]) or env.create(
        "res.partner",
        {"name": customer.get("name", customer["ref"]), "ref": customer["ref"], "email": customer.get("email")},
    )
    warehouse = env.one("stock.warehouse", code=payload.get("warehouse", "WH"))
    lines = [
        {
            "product_id": product_of(env, line["sku"]).id,
            "product_uom_qty": line.get("quantity", 1),
            "discount": line.get("discount", 0.0),
            **({"price_unit": float(line["price"])} if "price" in line else {}),
            **({"tax_ids": [(6, 0, _taxes(env, line["taxes"]))]} if "taxes" in line else {}),
        }
        for line in payload["lines"]
    ]
    currency = env.one("res.currency", name=payload["currency"]).id if payload.get("currency") else False
    order = env.create(
        "sale.order",
        {
            "partner_id": partner.id,
            "client_order_ref": payload["order_ref"],
            "origin": payload.get("origin") or False,
            "warehouse_id": warehouse.id,
            "currency_id": currency,
            "order_line": [(0, 0, line) for line in lines],
        },
    )
    run(env, "sale.order", "action_confirm", [order.id])
    _deliver(env, order, payload)
    invoice = env.rec("account.move", 0)
    payments: list[Rec] = []
    if payload.get("invoice", True):
        wizard = env.create("sale.advance.payment.inv", {"sale_order_ids": [(6, 0, [order.id])]})
        invoice = env.rec("account.move", run(env, wizard.model, "create_invoices", [wizard.id])["res_id"])
        run(env, "account.move", "action_post", [invoice.id])
        if payload.get("pay", True):
            journal = env.rec("account.journal", 8).code
            for payment in payload.get("payments") or [{"journal": journal, "ref": payload["order_ref"]}]:
                payments.append(pay(env, invoice, payment))
    return _sale(order, invoice, payments)


def _deliver(env: Env, order: Rec, payload: Vals) -> None:
    for picking in order.picking_ids:
        for sold, line in zip(order.order_line, payload["lines"], strict=True):
            if line.get("lots"):
                _ship_lots(
                    env, next(move for move in sold.move_ids if move.product_id == sold.product_id), line["lots"]
                )
        if payload.get("deliver", True):
            for move in picking.move_ids:
                if move.quantity < move.product_uom_qty:
                    move.write(quantity=move.product_uom_qty)
            run(env, "stock.picking", "button_validate", [picking.id])


def _ship_lots(env: Env, move: Rec, names: list[str]) -> None:
    lots = [env.one("stock.lot", name=name, product_id=move.product_id.id) for name in names]
    if not all(lots):
        raise LookupError(f"lots {names} of {move.product_id.default_code} are not all known")
    move.write(lot_ids=[(6, 0, [lot.id for lot in lots])])


def pay(env: Env, invoice: Rec, payment: Vals) -> Rec:
    context = env.with_context(active_model="account.move", active_ids=[invoice.id])
    journal = env.one("account.journal", code=payment["journal"])
    vals = {"journal_id": journal.id, "communication": payment.get("ref"), "payment_date": payment.get("date")}
    amount = {"amount": float(payment["amount"])} if "amount" in payment else {}
    given = {name: value for name, value in vals.items() if value}
    wizard = context.create("account.payment.register", {**given, **amount})
    made = run(context, "account.payment.register", "action_create_payments", [wizard.id])
    return env.rec("account.payment", made["res_id"])


def _sale(order: Rec, invoice: Rec, payments: list[Rec]) -> Vals:
    pickings = order.picking_ids
    return {
        "order_id": order.id,
        "order_name": order.raw("name"),
        "partner_id": order.partner_id.id,
        "order_lines": [
            {
                "id": line.id,
                "sku": line.product_id.default_code,
                "product_id": line.product_id.id,
                "quantity": line.product_uom_qty,
            }
            for line in order.order_line
        ],
        "picking_ids": [picking.id for picking in pickings],
        "picking_names": [picking.raw("name") for picking in pickings],
        "moves": [
            {
                "id": move.id,
                "product_id": move.product_id.id,
                "sku": move.product_id.default_code,
                "quantity": move.quantity,
                "sale_line_id": move.sale_line_id.id,
                "lots": [lot.raw("name") for lot in move.lot_ids],
            }
            for picking in pickings
            for move in picking.move_ids
        ],
        "invoice_id": invoice.id or None,
        "invoice_name": invoice.raw("name") if invoice else None,
        "invoice_lines": [
            {"id": line.id, "sku": line.product_id.default_code, "quantity": line.quantity}
            for line in (invoice.invoice_line_ids if invoice else [])
        ],
        "amount_total": order.amount_total,
        "payment_ids": [payment.id for payment in payments],
        "payment_names": [payment.raw("name") for payment in payments],
    }


def open_till(env: Env, payload: Vals) -> Vals:
    """One of Odoo's tills with an open session: `{"till", "warehouse": "WH"}`."""
    kind = env.one("stock.warehouse", code=payload.get("warehouse", "WH")).pos_type_id
    till = env.one("pos.config", name=payload["till"]) or env.create(
        "pos.config", {"name": payload["till"], "picking_type_id": kind.id}
    )
    if not any(session.state == "opened" for session in env.find("pos.session", config_id=till.id)):
        env.create("pos.session", {"config_id": till.id, "state": "opened"})
    return {"till_id": till.id}


def sell_at_till(env: Env, payload: Vals) -> Vals:
    """A sale, or with `"refunds": line id` a refund, at one of Odoo's tills: `{"till", "warehouse": "WH", "sku",
    "quantity": 1, "price", "net", "method": "Cash" | "Card", "lots": [name]}`. Answers order, line and payment."""
    product = product_of(env, payload["sku"])
    till = env.rec("pos.config", open_till(env, payload)["till_id"])
    name = payload.get("method", "Cash")
    journal = env.one("account.journal", code="CSH" if name == "Cash" else "BNK1")
    method = env.one("pos.payment.method", name=name) or env.create(
        "pos.payment.method", {"name": name, "journal_id": journal.id}
    )
    [session] = [session for session in env.find("pos.session", config_id=till.id) if session.state == "opened"]
    sign = -1 if payload.get("refunds") else 1
    gross, quantity = sign * float(payload["price"]), sign * payload.get("quantity", 1)
    line = {
        "product_id": product.id,
        "full_product_name": product.raw("name"),
        "qty": float(quantity),
        "price_unit": abs(gross / quantity),
        "price_subtotal": sign * float(payload["net"] if "net" in payload else payload["price"]),
        "price_subtotal_incl": gross,
        "tax_ids": [(6, 0, [tax.id for tax in product.taxes_id])],
        "refunded_orderline_id": payload.get("refunds", False),
        "pack_lot_ids": [(0, 0, {"lot_name": lot}) for lot in payload.get("lots", ())],
    }
    number = env.db.next("number:receipt")
    order: Vals = {
        "uuid": f"till-{number}",
        "name": f"Order {number:05d}",
        "session_id": session.id,
        "date_order": env.stamp,
        "state": "paid",
        "amount_total": gross,
        "amount_paid": gross,
        "lines": [(0, 0, line)],
        "payment_ids": [(0, 0, {"amount": gross, "payment_method_id": method.id})],
    }
    answer: Any = env.models["pos.order"].public["sync_from_ui"](env, [order])
    made = env.rec("pos.order", answer["pos.order"][-1]["id"])
    [sold], [paid] = made.lines, made.payment_ids
    return {"order_id": made.id, "number": made.raw("pos_reference"), "line_id": sold.id, "payment_id": paid.id}

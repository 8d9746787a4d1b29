"""A person in Odoo, click by click: selling, and taking back the naive way; and reading what a return has left."""

from typing import Any

import httpx2

Row = dict[str, Any]


class Clicks:
    """JSON-2 calls in the order in which the web client asks."""

    def __init__(self, url: str, database: str, key: str, wire: httpx2.AsyncBaseTransport) -> None:
        headers = {"Authorization": f"bearer {key}", **({"X-Odoo-Database": database} if database else {})}
        self.client = httpx2.AsyncClient(base_url=url, headers=headers, transport=wire, timeout=300)

    async def call(self, operation: str, **body: Any) -> Any:
        answer = await self.client.post(f"/json/2/{operation}", json=body)
        if answer.status_code != 200:
            raise SystemExit(f"bench odoo: {operation}: {answer.text[:500]}")
        return answer.json()

    async def rows(self, model: str, domain: list[Any], *fields: str) -> list[Row]:
        rows: list[Row] = await self.call(
            f"{model}/search_read", domain=domain, fields=list(fields), load=None, order="id"
        )
        return rows

    async def sell(self, prefix: str, count: int) -> list[str]:
        """So many sales of three shirts, delivered, invoiced and paid; their numbers."""
        (product,) = await self.rows("product.product", [["default_code", "=", "TEE"]], "name")
        partner = (await self.rows("res.partner", [["name", "=", "Kim Example"]], "name"))[0]
        (journal,) = await self.rows("account.journal", [["code", "=", "STRIP"]], "name")
        numbers = [f"{prefix}-{n}" for n in range(count)]
        line = {"product_id": product["id"], "product_uom_qty": 3, "price_unit": 20}
        orders = await self.call(
            "sale.order/create",
            vals_list=[
                {"partner_id": partner["id"], "client_order_ref": number, "order_line": [[0, 0, line]]}
                for number in numbers
            ],
        )
        await self.call("sale.order/action_confirm", ids=orders)
        rows = await self.rows("sale.order", [["id", "in", orders]], "picking_ids")
        deliveries = [id for row in rows for id in row["picking_ids"]]
        if await self.call("stock.picking/button_validate", ids=deliveries) is not True:
            raise SystemExit(f"bench odoo: {3 * count} pieces of TEE cannot be delivered: put more on hand in WH/Stock")
        wizard = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, orders]]}
        ids = await self.call("sale.advance.payment.inv/create", vals_list={**wizard, "consolidated_billing": False})
        await self.call("sale.advance.payment.inv/create_invoices", ids=ids)
        rows = await self.rows("sale.order", [["id", "in", orders]], "invoice_ids")
        invoices = [id for row in rows for id in row["invoice_ids"]]
        await self.call("account.move/action_post", ids=invoices)
        context = {"active_model": "account.move", "active_ids": invoices}
        vals = {"journal_id": journal["id"], "group_payment": False}
        ids = await self.call("account.payment.register/create", vals_list=vals, context=context)
        await self.call("account.payment.register/action_create_payments", ids=ids, context=context)
        return numbers

    async def take_back(self, number: str) -> None:
        """One piece comes back, is credited and refunded: wizard by wizard, 25 calls."""
        ((order),) = await self.rows("sale.order", [["client_order_ref", "=", number]], "name")
        (order,) = await self.call("sale.order/read", ids=[order["id"]], fields=["picking_ids", "invoice_ids"])
        (delivery,) = await self.call("stock.picking/read", ids=order["picking_ids"], fields=["move_ids", "name"])
        (move,) = await self.call("stock.move/read", ids=delivery["move_ids"], fields=["product_id"], load=None)
        (place,) = await self.rows("stock.location", [["complete_name", "=", "WH/Quarantine"]], "name")
        lines = [[0, 0, {"product_id": move["product_id"], "move_id": move["id"], "quantity": 1, "to_refund": True}]]
        ids = await self.call(
            "stock.return.picking/create", vals_list={"picking_id": delivery["id"], "product_return_moves": lines}
        )
        await self.call("stock.return.picking/read", ids=ids, fields=["product_return_moves"])
        back = (await self.call("stock.return.picking/action_create_returns", ids=ids))["res_id"]
        vals: Row = {"location_dest_id": place["id"], "origin": f"Return of {delivery['name']} [RMA-{number}]"}
        await self.call("stock.picking/write", ids=[back], vals=vals)
        moves = await self.rows("stock.move", [["picking_id", "=", back]], "quantity")
        vals = {"location_dest_id": place["id"], "quantity": 1}
        await self.call("stock.move/write", ids=[row["id"] for row in moves], vals=vals)
        assert await self.call("stock.picking/button_validate", ids=[back]) is True
        await self.call("stock.picking/read", ids=[back], fields=["state", "name"])
        (invoice,) = await self.call("account.move/read", ids=order["invoice_ids"], fields=["journal_id", "name"])
        context = {"active_model": "account.move", "active_ids": [invoice["id"]], "active_id": invoice["id"]}
        vals = {"reason": "too small", "journal_id": invoice["journal_id"][0]}
        ids = await self.call("account.move.reversal/create", vals_list=vals, context=context)
        note = (await self.call("account.move.reversal/refund_moves", ids=ids, context=context))["res_id"]
        (credit,) = await self.call("account.move/read", ids=[note], fields=["invoice_line_ids", "amount_total"])
        vals = {"ref": f"RMA-{number}", "invoice_line_ids": [[1, credit["invoice_line_ids"][0], {"quantity": 1}]]}
        await self.call("account.move/write", ids=[note], vals=vals)
        await self.call("account.move/read", ids=[note], fields=["amount_total"])
        await self.call("account.move/action_post", ids=[note])
        await self.call("account.move/read", ids=[note], fields=["state", "amount_residual"])
        (journal,) = await self.rows("account.journal", [["code", "=", "STRIP"]], "name")
        context = {"active_model": "account.move", "active_ids": [note]}
        vals = {"journal_id": journal["id"], "communication": f"re_{number}"}
        ids = await self.call("account.payment.register/create", vals_list=vals, context=context)
        await self.call("account.payment.register/action_create_payments", ids=ids, context=context)
        (paid,) = await self.call("account.move/read", ids=[note], fields=["payment_state"])
        assert paid["payment_state"] == "paid", paid

    async def documents(self, number: str) -> Row:
        """What a return has left: quantities, values, ledger, residuals and links; nothing that is numbered."""
        (order,) = await self.rows("sale.order", [["client_order_ref", "=", number]], "picking_ids", "invoice_ids")
        lines = ("product_uom_qty", "qty_delivered", "qty_invoiced", "product_id")
        stock = ("product_id", "quantity", "state", "value", "location_id", "location_dest_id", "to_refund")
        entry = ("account_id", "balance", "amount_residual", "reconciled", "display_type", "product_id", "tax_ids")
        moves = await self.rows(
            "stock.move", [["picking_id", "in", order["picking_ids"]]], *stock, "origin_returned_move_id"
        )
        invoices = await self.rows("account.move", [["id", "in", order["invoice_ids"]]], "move_type", "payment_state")
        notes = await self.rows(
            "account.move",
            [["id", "in", order["invoice_ids"]], ["move_type", "=", "out_refund"]],
            *("amount_total", "amount_tax", "amount_residual", "payment_state", "reversed_entry_id"),
            "matched_payment_ids",
        )
        payments = [id for row in notes for id in row["matched_payment_ids"]]
        booked = await self.rows("account.payment", [["id", "in", payments]], "amount", "state", "payment_type", "memo")
        items = await self.rows(
            "account.move.line",
            ["|", ["move_id", "in", [row["id"] for row in notes]], ["payment_id", "in", payments]],
            *entry,
            "full_reconcile_id",
        )
        numbers = [row.pop("full_reconcile_id") for row in items]
        alone = await self.rows("account.move.line", [["full_reconcile_id", "in", [n for n in numbers if n]]], "name")
        return {
            "order": _bare(await self.rows("sale.order.line", [["order_id", "=", order["id"]]], *lines)),
            "moves": _bare(moves, linked=("origin_returned_move_id",)),
            "invoices": _bare(invoices),
            "notes": _bare(notes, linked=("reversed_entry_id", "matched_payment_ids")),
            "payments": _bare(booked, linked=("memo",)),
            "ledger": _bare(items),
            "lines that share the matching number": len(alone),
        }


def _bare(rows: list[Row], linked: tuple[str, ...] = ()) -> list[Row]:
    """Rows without ids; of a link only that it is there."""
    bare = [{n: bool(v) if n in linked else v for n, v in row.items() if n != "id"} for row in rows]
    return sorted(bare, key=str)

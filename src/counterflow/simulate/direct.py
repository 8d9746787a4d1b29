"""A direct integration, as a competent integrator writes it in some days: what Counterflow is compared with.

Messages in, calls out. It checks signatures, keeps a message in a file before it answers, drops what it has had, notes
each step when it is done, gives the provider an idempotency key, asks the shop for a return's state before it acts,
tries again what fails, and hands over to a person what goes on failing. It knows nothing of the simulation.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Json = dict[str, Any]
Call = Callable[[], Awaitable[Any]]

PAUSES = (1.0, 4.0, 16.0, 60.0, 300.0)  # seconds between its tries
PERSON_SECONDS = 4 * 3600.0  # until somebody looks at what has failed for good and tries it again
PERSON_TRIES = 4

RETURN = """query Return($id: ID!) { return(id: $id) { id name status order { id name
  transactions(first: 10) { kind status gateway paymentId } } } }"""
APPROVE = """mutation Approve($id: ID!) { returnApproveRequest(input: {id: $id}) {
  return { id status } userErrors { message } } }"""
CLOSE = "mutation Close($id: ID!) { returnClose(id: $id) { return { id status } userErrors { message } } }"


def empty_file() -> Json:
    """What it keeps on disk: messages that are not worked off, all that it has had, what it knows of each return."""
    return {"waiting": {}, "had": [], "returns": {}, "receipts": {}, "steps": {}, "manual": 0, "given_up": 0}


class Direct:
    """One process. `file` outlives it, `start` runs something beside the answer to a message."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        outside: str,
        secrets: Mapping[str, str],
        file: Json,
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.http, self.outside, self.secrets, self.file, self.start = http, outside, secrets, file, start
        self.app = Starlette(routes=[Route("/webhooks/{system}", self.hear, methods=["POST"])])

    def begin(self) -> None:
        """Go on with what was not worked off when the process ended."""
        for key in self.file["waiting"]:
            self.start(self.work_off(key))

    async def hear(self, request: Request) -> Response:
        body, headers, system = await request.body(), request.headers, request.path_params["system"]
        if system == "shop":
            key, kind = headers.get("x-shopify-event-id", ""), headers.get("x-shopify-topic", "")
            signed, secret = body, self.secrets["shop_secret"].encode()
            given = headers.get("x-shopify-hmac-sha256", "")
        elif system == "wms":
            key, kind = headers.get("webhook-id", ""), ""
            signed = f"{key}.{headers.get('webhook-timestamp', '')}.".encode() + body
            secret = base64.b64decode(self.secrets["wms_secret"].removeprefix("whsec_"))
            given = headers.get("webhook-signature", "").removeprefix("v1,")
        else:
            return Response(status_code=204)
        right = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(right, given):
            return Response(status_code=401)
        if key not in self.file["had"]:
            self.file["had"].append(key)
            self.file["waiting"][key] = [kind, json.loads(body)]
            self.start(self.work_off(key))
        return Response(status_code=200)

    async def work_off(self, key: str) -> None:
        """Do what a message asks for, again while it fails, then by a person, then not at all."""
        kind, doc = self.file["waiting"][key]
        for person in range(PERSON_TRIES + 1):
            for pause in PAUSES:
                try:
                    await self.handle(key, kind or doc["type"], doc.get("data", doc))
                except Exception:  # whatever it was: it is tried again
                    await asyncio.sleep(pause)
                else:
                    del self.file["waiting"][key]
                    return
            if person < PERSON_TRIES:
                await asyncio.sleep(PERSON_SECONDS)
                self.file["manual"] += 1
        del self.file["waiting"][key]
        self.file["given_up"] += 1

    async def handle(self, key: str, kind: str, doc: Json) -> None:
        if kind == "returns/request":
            await self.approve(doc["admin_graphql_api_id"])
        elif kind == "return.received":
            self.file["receipts"][doc["receipt_id"]] = doc["rma_number"]
        elif kind == "return.inspected" and doc["grade"] == "A":
            ret = self.file["returns"][self.file["receipts"][doc["receipt_id"]]]  # not told yet: later
            await self.take_back(key, ret, doc["sku"], doc["quantity"])

    async def approve(self, gid: str) -> None:
        ret = (await self.shop(RETURN, gid))["return"]
        paid = [row for row in ret["order"]["transactions"] if row["gateway"] == "stripe" and row["kind"] == "SALE"]
        if ret["status"] == "REQUESTED":
            await self.shop(APPROVE, gid)
        self.file["returns"][ret["name"]] = {"id": gid, "order": ret["order"]["name"], "payment": paid[0]["paymentId"]}

    async def take_back(self, key: str, ret: Json, sku: str, quantity: int) -> None:
        """Goods, credit note, refund, its payment in the books, the shop: each noted when it is done."""
        steps = self.file["steps"].setdefault(key, {})

        async def once(name: str, call: Call) -> None:
            if name not in steps:
                steps[name] = await call()

        await once("goods", lambda: self.receive(ret["order"], sku, quantity))
        await once("note", lambda: self.credit(ret["order"], sku, quantity))
        await once("refund", lambda: self.refund(key, ret["payment"], steps["note"][1]))
        await once("paid", lambda: self.book_payment(steps["note"][0], steps["refund"]))
        await once("closed", lambda: self.close(ret["id"]))

    async def receive(self, number: str, sku: str, quantity: int) -> int:
        """The return wizard of the delivery, into stock."""
        (order,) = await self.rows("sale.order", [["client_order_ref", "=", number]], "picking_ids")
        delivery = min(order["picking_ids"])
        shipped = [["picking_id", "=", delivery], ["product_id.default_code", "=", sku]]
        (move,) = await self.rows("stock.move", shipped, "product_id")
        (place,) = await self.rows("stock.location", [["complete_name", "=", "WH/Stock"]], "name")
        line = {"product_id": move["product_id"], "move_id": move["id"], "quantity": quantity, "to_refund": True}
        vals: Json = {"picking_id": delivery, "product_return_moves": [[0, 0, line]]}
        ids = await self.odoo("stock.return.picking/create", vals_list=vals)
        back: int = (await self.odoo("stock.return.picking/action_create_returns", ids=ids))["res_id"]
        await self.odoo("stock.picking/write", ids=[back], vals={"location_dest_id": place["id"]})
        rows = await self.rows("stock.move", [["picking_id", "=", back]], "quantity")
        vals = {"location_dest_id": place["id"], "quantity": quantity}
        await self.odoo("stock.move/write", ids=[row["id"] for row in rows], vals=vals)
        await self.odoo("stock.picking/button_validate", ids=[back])
        return back

    async def credit(self, number: str, sku: str, quantity: int) -> tuple[int, float]:
        """The reversal wizard of the invoice, cut down to what came back; the note and its total."""
        (order,) = await self.rows("sale.order", [["client_order_ref", "=", number]], "invoice_ids")
        invoice = min(order["invoice_ids"])
        (row,) = await self.odoo("account.move/read", ids=[invoice], fields=["journal_id"])
        context = {"active_model": "account.move", "active_ids": [invoice], "active_id": invoice}
        vals: Json = {"reason": "returned", "journal_id": row["journal_id"][0]}
        ids = await self.odoo("account.move.reversal/create", vals_list=vals, context=context)
        note: int = (await self.odoo("account.move.reversal/refund_moves", ids=ids, context=context))["res_id"]
        lines = await self.rows(
            "account.move.line", [["move_id", "=", note], ["display_type", "=", "product"]], "product_id"
        )
        (product,) = await self.rows("product.product", [["default_code", "=", sku]], "name")
        change = [
            [1, line["id"], {"quantity": quantity if line["product_id"] == product["id"] else 0}] for line in lines
        ]
        await self.odoo("account.move/write", ids=[note], vals={"invoice_line_ids": change})
        await self.odoo("account.move/action_post", ids=[note])
        (posted,) = await self.odoo("account.move/read", ids=[note], fields=["amount_total"])
        return note, posted["amount_total"]

    async def refund(self, key: str, payment: str, amount: float) -> str:
        """At the provider, under the message's id as the key."""
        headers = {"Authorization": f"Bearer {self.secrets['psp_key']}", "Idempotency-Key": key}
        data = {"payment_intent": payment, "amount": str(round(amount * 100))}
        answer = await self.http.post(f"{self.outside}/psp/v1/refunds", data=data, headers=headers)
        answer.raise_for_status()
        refund: str = answer.json()["id"]
        return refund

    async def book_payment(self, note: int, refund: str) -> bool:
        (journal,) = await self.rows("account.journal", [["code", "=", "STRIP"]], "name")
        context = {"active_model": "account.move", "active_ids": [note]}
        vals = {"journal_id": journal["id"], "communication": refund}
        ids = await self.odoo("account.payment.register/create", vals_list=vals, context=context)
        await self.odoo("account.payment.register/action_create_payments", ids=ids, context=context)
        return True

    async def close(self, gid: str) -> bool:
        if (await self.shop(RETURN, gid))["return"]["status"] == "OPEN":
            await self.shop(CLOSE, gid)
        return True

    async def shop(self, query: str, gid: str) -> Json:
        headers = {"X-Shopify-Access-Token": self.secrets["shop_token"]}
        url = f"{self.outside}/shop/admin/api/2026-07/graphql.json"
        answer = await self.http.post(url, json={"query": query, "variables": {"id": gid}}, headers=headers)
        doc: Json = answer.raise_for_status().json()
        data: Json = doc["data"]
        if doc.get("errors") or any((part or {}).get("userErrors") for part in data.values()):
            raise RuntimeError(answer.text)
        return data

    async def odoo(self, operation: str, **body: Any) -> Any:
        headers = {"Authorization": f"bearer {self.secrets['odoo_key']}", "X-Odoo-Database": "odoo19"}
        answer = await self.http.post(f"{self.outside}/odoo/json/2/{operation}", json=body, headers=headers)
        return answer.raise_for_status().json()

    async def rows(self, model: str, domain: list[Any], *fields: str) -> list[Json]:
        found: list[Json] = await self.odoo(
            f"{model}/search_read", domain=domain, fields=list(fields), load=None, order="id"
        )
        return found

"""A store till: it counts returns at the counter, pays out cash or card refunds, and goes offline now and then.

How events travel, the sweep, keys and errors: `sdk/simulator/site.py`. Refusals here: 422 `over_refund`,
`drawer_short`.

Events (`data`; every instant is by the till's own clock)

| type | data |
|---|---|
| return.received | receipt_id, store, till, cashier, occurred_at, order_number or null, rma_number or null,
lines [{line_no, sku, barcode, quantity, serial, lot, line_ref, condition}] |
| return.requested | return_id, order_ref or null, order_number or null, sale_id or null, rma_number or null,
authorised, store, till, cashier, occurred_at, lines [{line_ref, quantity, reason, remedy, serial}] |
| return.inspected | inspection_id, receipt_id, line_no, store, till, sku, serial, lot, quantity, grade A-D,
findings [{code, note}], supersedes or null, inspected_by, occurred_at |
| refund.paid | refund_id,
key or null (null: paid by the cashier's own decision), method cash or card, amount_minor, currency, order_number, rma_number, sale_id, reference, drawer, cashier, store, till, occurred_at |
| refund.failed | the same, with reason; also after a refund.paid (a card refund that came back) |
| sale.recorded | sale_id, order_number, store, till, cashier, currency, total_minor,
lines [{sku, quantity, unit_price_minor, serial, lot}], tenders [{method, amount_minor, reference}], occurred_at |

REST

| request | answer |
|---|---|
| POST /refunds {method, amount_minor, currency, order_number, rma_number, sale_id, limit_minor, note} | 201 the refund, status `paid`, or `waiting` where a cashier hands it over |
| GET /refunds?key= or ?order_number= | {"refunds": [...]} |
| GET /refunds/{refund_id} | the refund; status waiting, paid, refused or failed |
| POST /holds {order_number or rma_number or serial, message} | 201; the message that the cashier sees when this is scanned |
| GET /holds?key= | {"holds": [...]} |
| GET /sales/{sale_id} | the sale |
| GET /events | see site |

A refund may not exceed what is left of the sale that the till knows (`sale_id`, or `order_number` of a sale made here), nor
`limit_minor` for all refunds of its order, nor the cash in the drawer.

Acts

    sell             lines, tenders, currency, order_number, cashier                    -> sale
    request_return   lines [{line_ref, quantity, reason, remedy, serial}], order_ref, order_number, sale_id, rma_number,
    authorised, cashier                                                                -> request
    receive          lines [{sku, quantity, serial, lot, barcode, line_ref, condition}], order_number, rma_number,
    cashier,
                     occurred_at                                                        -> receipt,
                     with the holds that matched
    inspect          receipt_id, line_no, grade, findings, quantity, serial, lot, supersedes, inspected_by -> inspection
    refund_by_hand   method, amount_minor, currency, order_number, sale_id, cashier     -> refund (key null)
    pay_out          refund_id, cashier                                                 -> refund (it was waiting)
    refuse_refund    refund_id, reason                                                  -> refund (it was waiting)
    fail_refund      refund_id, reason                                                  -> refund (it was paid)
    count_drawer                                                                        -> {currency: minor units}
    go_offline, go_online

Collections for `/_sim/truth`: sales, requests, receipts, inspections, refunds, holds, drawers, events, held, keys.
"""  # noqa: E501

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.sdk.simulator import Doc, World, with_sim
from counterflow.sdk.simulator.site import Refusal, Site, one_of, positive, refuse, secret_of

_GRADES = ("A", "B", "C", "D")
_METHODS = ("cash", "card")
_LINE = ("sku", "barcode", "serial", "lot", "line_ref", "condition")


def create_app(
    world: World,
    *,
    store: str = "store-1",
    till: str = "till-1",
    token: str = "pos_simulated",
    secret: str = secret_of("pos simulated"),
    webhook_url: str | None = None,
    drawer_minor: int = 100_000,
    currency: str = "EUR",
    cashier_hands_over: bool = False,
    skew_seconds: float = 0.0,
    reconnect_duplicates: float = 0.25,
) -> Starlette:
    """The till as an ASGI app. `cashier_hands_over`: a refund by REST waits for the act `pay_out`."""
    site = Site(
        world,
        token=token,
        secret=secret,
        webhook_url=webhook_url,
        skew_seconds=skew_seconds,
        reconnect_duplicates=reconnect_duplicates,
    )
    pos = Till(site, store, till, cashier_hands_over)
    if not world.all("drawers"):
        world.put("drawers", currency, {"currency": currency, "amount_minor": drawer_minor})
    for name in (
        "sell",
        "request_return",
        "receive",
        "inspect",
        "refund_by_hand",
        "pay_out",
        "refuse_refund",
        "fail_refund",
    ):
        world.act(name)(getattr(pos, name))
    world.act("count_drawer")(lambda data: {row["currency"]: row["amount_minor"] for row in world.all("drawers")})
    routes = [
        site.route("/refunds", "POST", pos.post_refund),
        site.route("/refunds", "GET", pos.get_refunds),
        site.route("/refunds/{refund_id}", "GET", pos.get_refund),
        site.route("/holds", "POST", pos.post_hold, needs_site=False),
        site.route("/holds", "GET", pos.get_holds, needs_site=False),
        site.route("/sales/{sale_id}", "GET", pos.get_sale, needs_site=False),
        site.events_route(),
    ]
    return with_sim(Starlette(routes=routes), world, refuse=refuse)


class Till:
    def __init__(self, site: Site, store: str, till: str, cashier_hands_over: bool) -> None:
        self._site, self._world = site, site.world
        self._here = {"store": store, "till": till}
        self._waits = cashier_hands_over

    # REST

    async def post_refund(self, request: Request) -> Response:
        return await self._site.once(request, self._asked_refund)

    async def get_refunds(self, request: Request) -> Response:
        wanted = {name: request.query_params[name] for name in ("key", "order_number") if name in request.query_params}
        rows = [row for row in self._world.all("refunds") if all(row[name] == value for name, value in wanted.items())]
        return JSONResponse({"refunds": rows})

    async def get_refund(self, request: Request) -> Response:
        return JSONResponse(self._refund(request.path_params["refund_id"]))

    async def post_hold(self, request: Request) -> Response:
        def hold(key: str, body: Doc) -> Doc:
            subjects = [str(body[name]) for name in ("order_number", "rma_number", "serial") if body.get(name)]
            if not subjects or not body.get("message"):
                raise Refusal("bad_value", "a hold names an order_number, rma_number or serial, and has a message")
            doc = {"hold_id": self._site.number("H"), "key": key, "subjects": subjects, "message": body["message"]}
            self._world.put("holds", doc["hold_id"], doc)
            return doc

        return await self._site.once(request, hold)

    async def get_holds(self, request: Request) -> Response:
        key = request.query_params.get("key")
        return JSONResponse({"holds": [row for row in self._world.all("holds") if key in (None, row["key"])]})

    async def get_sale(self, request: Request) -> Response:
        return JSONResponse(self._sale({"sale_id": request.path_params["sale_id"]}))

    # Refunds

    def _asked_refund(self, key: str, body: Doc) -> Doc:
        refund = self._new_refund(key, body)
        return refund if self._waits else self._pay(refund, "self-service")

    def refund_by_hand(self, data: Doc) -> Doc:
        return self._pay(self._new_refund(None, data), data.get("cashier", "cashier"))

    def _new_refund(self, key: str | None, body: Doc) -> Doc:
        amount, currency = positive(body, "amount_minor"), str(body.get("currency") or "")
        method = one_of(body, "method", _METHODS)
        sale = self._sale(body)
        if sale is not None and sale["currency"] != currency:
            raise Refusal("wrong_currency", f"the sale is in {sale['currency']}, the refund in {currency or 'nothing'}")
        limits = [sale["total_minor"]] if sale else []
        if body.get("limit_minor") is not None:
            limits.append(int(body["limit_minor"]))
        given = sum(row["amount_minor"] for row in self._given(body, sale))
        if limits and given + amount > min(limits):
            raise Refusal("over_refund", f"{min(limits) - given} minor units are left, {amount} were asked for")
        drawer = self._world.get("drawers", currency)
        if method == "cash" and (drawer is None or drawer["amount_minor"] < amount):
            raise Refusal("drawer_short", f"the drawer cannot pay {amount} minor units of {currency or 'nothing'}")
        refund: Doc = {
            **self._here, "refund_id": self._site.number("RF"), "key": key, "status": "waiting", "method": method,
            "amount_minor": amount, "currency": currency, "order_number": body.get("order_number"),
            "rma_number": body.get("rma_number"), "sale_id": sale and sale["sale_id"], "note": body.get("note"),
            "reference": None, "drawer": None, "cashier": None, "reason": None, "occurred_at": self._site.device_time(),
        }  # fmt: skip
        self._world.put("refunds", refund["refund_id"], refund)
        return refund

    def _sale(self, body: Doc) -> Doc | None:
        if body.get("sale_id"):
            sale = self._world.get("sales", body["sale_id"])
            if sale is None:
                raise LookupError(f"sale {body['sale_id']}")
            return sale
        number = body.get("order_number")
        return next((row for row in self._world.all("sales") if number and row["order_number"] == number), None)

    def _given(self, body: Doc, sale: Doc | None) -> list[Doc]:
        """Refunds of the same sale or order that are paid or about to be."""
        number, sale_id = body.get("order_number"), sale and sale["sale_id"]
        return [
            row for row in self._world.all("refunds")
            if row["status"] in ("waiting", "paid")
            and ((number and row["order_number"] == number) or (sale_id and row["sale_id"] == sale_id))
        ]  # fmt: skip

    def pay_out(self, data: Doc) -> Doc:
        return self._pay(self._waiting(data), data.get("cashier", "cashier"))

    def _pay(self, refund: Doc, cashier: str) -> Doc:
        refund |= {"status": "paid", "cashier": cashier, "occurred_at": self._site.device_time()}
        if refund["method"] == "cash":
            refund["drawer"] = self._here["till"]
            self._move_cash(refund["currency"], -refund["amount_minor"])
        refund["reference"] = self._site.number(refund["method"].upper())
        self._world.put("refunds", refund["refund_id"], refund)
        self._site.say("refund.paid", _public(refund))
        return refund

    def refuse_refund(self, data: Doc) -> Doc:
        return self._fail(self._waiting(data), "refused", data)

    def fail_refund(self, data: Doc) -> Doc:
        refund = self._refund(data["refund_id"])
        if refund["status"] != "paid":
            raise Refusal("not_paid", f"refund {refund['refund_id']} is {refund['status']}")
        if refund["method"] == "cash":
            self._move_cash(refund["currency"], refund["amount_minor"])
        return self._fail(refund, "failed", data)

    def _fail(self, refund: Doc, status: str, data: Doc) -> Doc:
        refund |= {
            "status": status,
            "reason": data.get("reason", "customer left"),
            "occurred_at": self._site.device_time(),
        }
        self._world.put("refunds", refund["refund_id"], refund)
        self._site.say("refund.failed", _public(refund))
        return refund

    def _waiting(self, data: Doc) -> Doc:
        refund = self._refund(data["refund_id"])
        if refund["status"] != "waiting":
            raise Refusal("not_waiting", f"refund {refund['refund_id']} is {refund['status']}")
        return refund

    def _refund(self, refund_id: str) -> Doc:
        refund = self._world.get("refunds", refund_id)
        if refund is None:
            raise LookupError(f"refund {refund_id}")
        return refund

    def _move_cash(self, currency: str, amount_minor: int) -> None:
        drawer = self._world.get("drawers", currency) or {"currency": currency, "amount_minor": 0}
        drawer["amount_minor"] += amount_minor
        self._world.put("drawers", currency, drawer)

    # The counter

    def sell(self, data: Doc) -> Doc:
        lines = [{"serial": None, "lot": None, **line} for line in data["lines"]]
        total = sum(line["unit_price_minor"] * line["quantity"] for line in lines)
        tenders = data.get("tenders") or [{"method": "cash", "amount_minor": total, "reference": None}]
        if sum(tender["amount_minor"] for tender in tenders) != total:
            raise Refusal("bad_value", f"the tenders do not add up to {total} minor units")
        sale_id = self._site.number("S")
        sale = {
            **self._here, "sale_id": sale_id, "order_number": data.get("order_number", sale_id), "lines": lines,
            "currency": data.get("currency", "EUR"), "total_minor": total, "tenders": tenders,
            "cashier": data.get("cashier", "cashier"), "occurred_at": self._site.device_time(),
        }  # fmt: skip
        for tender in tenders:
            if tender["method"] == "cash":
                self._move_cash(sale["currency"], tender["amount_minor"])
        self._world.put("sales", sale_id, sale)
        self._site.say("sale.recorded", sale)
        return sale

    def request_return(self, data: Doc) -> Doc:
        """A customer asks at the counter; the goods may be handed in now or be sent later."""
        names = ("order_ref", "order_number", "sale_id", "rma_number")
        doc = {
            **self._here, "return_id": self._site.number("RR"), **{name: data.get(name) for name in names},
            "authorised": bool(data.get("authorised", False)), "cashier": data.get("cashier", "cashier"),
            "lines": [{**line, "quantity": positive(line, "quantity")} for line in data["lines"]],
            "occurred_at": self._site.device_time(),
        }  # fmt: skip
        self._world.put("requests", doc["return_id"], doc)
        self._site.say("return.requested", doc)
        return doc

    def receive(self, data: Doc) -> Doc:
        """Goods over the counter. The till does not judge what belongs to what: it says what it saw."""
        lines = [
            {"line_no": no, **{name: line.get(name) for name in _LINE}, "quantity": positive(line, "quantity")}
            for no, line in enumerate(data["lines"], start=1)
        ]
        receipt = {
            **self._here, "receipt_id": self._site.number("R"), "order_number": data.get("order_number"),
            "rma_number": data.get("rma_number"), "cashier": data.get("cashier", "cashier"), "lines": lines,
            "occurred_at": data.get("occurred_at") or self._site.device_time(),
        }  # fmt: skip
        event = self._site.say("return.received", receipt, receipt["occurred_at"])
        receipt = {**receipt, "event_id": event["id"]}
        self._world.put("receipts", receipt["receipt_id"], receipt)
        scanned = {receipt["order_number"], receipt["rma_number"], *(line["serial"] for line in lines)}
        holds = [hold for hold in self._world.all("holds") if scanned & set(hold["subjects"])]
        return {**receipt, "holds": [hold["message"] for hold in holds]}

    def inspect(self, data: Doc) -> Doc:
        receipt = self._world.get("receipts", data["receipt_id"])
        if receipt is None:
            raise LookupError(f"receipt {data['receipt_id']}")
        line = next((row for row in receipt["lines"] if row["line_no"] == data.get("line_no", 1)), None)
        if line is None:
            raise LookupError(f"line {data.get('line_no', 1)} of {data['receipt_id']}")
        inspection = {
            **self._here, "inspection_id": self._site.number("I"), "receipt_id": receipt["receipt_id"],
            "line_no": line["line_no"], "sku": data.get("sku", line["sku"]),
            "serial": data.get("serial", line["serial"]),
            "lot": data.get("lot", line["lot"]), "quantity": data.get("quantity", line["quantity"]),
            "grade": one_of(data, "grade", _GRADES), "findings": data.get("findings", []),
            "supersedes": data.get("supersedes"), "inspected_by": data.get("inspected_by", "cashier"),
            "occurred_at": self._site.device_time(),
        }  # fmt: skip
        self._world.put("inspections", inspection["inspection_id"], inspection)
        self._site.say("return.inspected", inspection)
        return inspection


def _public(refund: Doc) -> Doc:
    return {name: value for name, value in refund.items() if name not in ("status", "note")}

"""The dock: what is announced, what is counted in the parcels that arrive, and how each piece is judged."""

import hashlib
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.connectors.warehouse.simulator.stock import Stock, one
from counterflow.sdk.simulator import Doc
from counterflow.sdk.simulator.site import Refusal, Site, int_of, one_of, positive, text_of

_GRADES = ("A", "B", "C", "D")
_SCANS = ("label_issued", "handed_over", "in_transit", "delivered", "exception")


class Dock:
    """What it receives goes into the stock, where everything that came back lies at first."""

    def __init__(self, door: Site, site: str, stock: Stock) -> None:
        self._door, self._world, self._name, self._stock = door, door.world, site, stock

    # REST

    async def post_announcement(self, request: Request) -> Response:
        def announce(key: str, body: Doc) -> Doc:
            lines = [
                {"line_ref": line.get("line_ref"), "sku": text_of(line, "sku"), "quantity": positive(line, "quantity"),
                 "serial": line.get("serial"), "lot": line.get("lot")}
                for line in body.get("lines") or []
            ]  # fmt: skip
            if not lines:
                raise Refusal("bad_value", "an announcement has lines")
            doc = {
                "key": key, "rma_number": text_of(body, "rma_number"), "tracking_number": body.get("tracking_number"),
                "lines": lines, "status": "open", "announced_at": self._world.now().isoformat(),
            }  # fmt: skip
            self._world.put("announcements", key, doc)
            return doc

        return await self._door.once(request, announce)

    async def get_announcement(self, request: Request) -> Response:
        return JSONResponse(one(self._world, "announcements", request.path_params["key"]))

    async def cancel_announcement(self, request: Request) -> Response:
        with self._world.tx():
            doc = one(self._world, "announcements", request.path_params["key"])
            if doc["status"] == "received":
                raise Refusal("already_received", "the goods are here", 409)
            doc["status"] = "cancelled"
            self._world.put("announcements", doc["key"], doc)
        return JSONResponse(doc)

    async def get_receipts(self, request: Request) -> Response:
        since = request.query_params.get("since", "1970-01-01T00:00:00+00:00").replace(" ", "+")
        try:
            start = datetime.fromisoformat(since)
        except ValueError as error:
            raise Refusal("bad_parameter", f"since is an instant, not {since!r}", 400) from error
        if start.tzinfo is None:
            raise Refusal("bad_parameter", "since needs a time zone", 400)
        rows = self._world.all("receipts")
        first, limit = int_of(request, "cursor", 0), min(int_of(request, "limit", 50), 200)
        page = [
            {**row, "inspections": [i for i in self._world.all("inspections") if i["receipt_id"] == row["receipt_id"]]}
            for row in rows[first : first + limit]
            if datetime.fromisoformat(row["recorded_at"]) >= start
        ]
        more = first + limit < len(rows)
        return JSONResponse({"receipts": page, "next_cursor": str(first + limit) if more else None})

    # What people do

    def receive(self, data: Doc) -> Doc:
        """Count a parcel against what was announced for its RMA or tracking number."""
        announced = self._announced(data)
        complete = bool(data.get("complete", True))
        lines = self._compare(announced, data.get("lines", []), complete)
        receipt = {
            "receipt_id": self._door.number("R"), "site": self._name,
            "announcement_key": announced and announced["key"],
            "rma_number": data.get("rma_number") or (announced and announced["rma_number"]),
            "tracking_number": data.get("tracking_number"), "weight_grams": data.get("weight_grams"),
            "parcel_condition": data.get("parcel_condition", "ok"), "complete": complete,
            "photos": self._photos(data.get("photos", 0)), "counted_by": data.get("counted_by", "dock"), "lines": lines,
            "occurred_at": data.get("occurred_at") or self._door.device_time(),
        }  # fmt: skip
        if announced and complete:
            self._world.put("announcements", announced["key"], {**announced, "status": "received"})
        for line in lines:
            if line["quantity"]:
                self._stock.put(line["sku"] or "unknown", line["lot"], "returns", line["quantity"])
        event = self._door.say("return.received", receipt, receipt["occurred_at"])
        receipt = {**receipt, "event_id": event["id"], "recorded_at": self._world.now().isoformat()}
        self._world.put("receipts", receipt["receipt_id"], receipt)
        return receipt

    def _announced(self, data: Doc) -> Doc | None:
        for doc in self._world.all("announcements"):
            for name in ("rma_number", "tracking_number"):
                if data.get(name) and doc[name] == data[name]:
                    return doc
        return None

    def _compare(self, announced: Doc | None, counted: list[Doc], complete: bool) -> list[Doc]:
        """One line for each thing counted, split where more came than was announced, and one for what is missing."""
        left = self._left(announced) if announced else {}
        rows: list[Doc] = []

        def add(seen: Doc, quantity: int, finding: str, expected: Doc | None) -> None:
            row = {
                "line_no": len(rows) + 1, "line_ref": expected["line_ref"] if expected else seen.get("line_ref"),
                "sku": seen.get("sku"), "barcode": seen.get("barcode"), "description": seen.get("description"),
                "quantity": quantity, "expected_quantity": expected and expected["quantity"], "missing_quantity": 0,
                "serial": seen.get("serial"),
                "lot": seen.get("lot"), "finding": "damaged" if seen.get("damaged") else finding,
            }  # fmt: skip
            rows.append(row)

        for seen in counted:
            quantity = positive(seen, "quantity")
            if announced is None or seen.get("sku") is None:
                add(seen, quantity, "unknown" if seen.get("sku") is None else "unannounced", None)
                continue
            fits = [i for i, line in enumerate(announced["lines"]) if line["sku"] == seen["sku"]]
            for i in fits:
                taken = min(left[i], quantity)
                if taken:
                    add(seen, taken, "as_announced", announced["lines"][i])
                    left[i] -= taken
                    quantity -= taken
            if quantity:
                add(seen, quantity, "over" if fits else "wrong_item", announced["lines"][fits[-1]] if fits else None)
        if announced and complete:
            for i, missing in left.items():
                if missing:
                    add({"sku": announced["lines"][i]["sku"]}, 0, "short", announced["lines"][i])
                    rows[-1]["missing_quantity"] = missing
        return rows

    def _left(self, announced: Doc) -> dict[int, int]:
        """What earlier parcels of the announcement have not brought yet, by line."""
        left = {i: line["quantity"] for i, line in enumerate(announced["lines"])}
        for receipt in self._world.all("receipts"):
            if receipt["announcement_key"] == announced["key"]:
                for row in receipt["lines"]:
                    fits = (
                        i
                        for i, line in enumerate(announced["lines"])
                        if line["line_ref"] == row["line_ref"] and left[i]
                    )
                    i = next(fits, None)
                    if i is not None and row["sku"] == announced["lines"][i]["sku"]:
                        left[i] -= min(left[i], row["quantity"])
        return left

    def inspect(self, data: Doc) -> Doc:
        receipt = self._world.get("receipts", data["receipt_id"])
        line_no = data.get("line_no", 1)
        line = next((row for row in (receipt or {"lines": []})["lines"] if row["line_no"] == line_no), None)
        if receipt is None or line is None:
            raise LookupError(f"line {line_no} of receipt {data['receipt_id']}")
        inspection = {
            "inspection_id": self._door.number("I"), "receipt_id": receipt["receipt_id"], "line_no": line_no,
            "line_ref": line["line_ref"], "site": self._name, "sku": data.get("sku", line["sku"]),
            "serial": data.get("serial", line["serial"]), "lot": data.get("lot", line["lot"]),
            "quantity": data.get("quantity", line["quantity"]), "grade": one_of(data, "grade", _GRADES),
            "findings": data.get("findings", []), "recommended_disposition": data.get("recommended_disposition"),
            "photos": self._photos(data.get("photos", 0)), "supersedes": data.get("supersedes"),
            "inspected_by": data.get("inspected_by", "inspector"), "occurred_at": self._door.device_time(),
        }  # fmt: skip
        self._world.put("inspections", inspection["inspection_id"], inspection)
        self._door.say("return.inspected", inspection)
        return inspection

    def _photos(self, count: int) -> list[str]:
        return [hashlib.sha256(self._door.number("P").encode()).hexdigest() for _ in range(count)]

    def scan(self, data: Doc) -> Doc:
        doc = {
            "scan_id": self._door.number("SC"), "tracking_number": text_of(data, "tracking_number"),
            "carrier": data.get("carrier", "carrier"), "rma_number": data.get("rma_number"),
            "status": one_of(data, "status", _SCANS), "weight_grams": data.get("weight_grams"),
            "place": data.get("place"),
            "reason": data.get("reason"), "occurred_at": data.get("occurred_at") or self._door.device_time(),
        }  # fmt: skip
        self._world.put("scans", doc["scan_id"], doc)
        self._door.say("parcel.scanned", doc, doc["occurred_at"])
        return doc

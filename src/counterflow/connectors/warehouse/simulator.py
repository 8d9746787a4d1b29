"""A warehouse (own or third-party): it is told what comes back, counts, inspects, executes dispositions, counts stock.

How events travel, the sweep, keys and errors: `sdk/simulator/site.py`.

Events (`data`; every instant is by the warehouse's own clock)

| type | data |
|---|---|
| return.received | receipt_id, site, rma_number, announcement_key, tracking_number (each or null), weight_grams,
parcel_condition ok, damaged or empty, photos [sha256], counted_by, complete, occurred_at,
lines [{line_no, line_ref, sku or null, barcode, description, quantity, expected_quantity, missing_quantity, serial, lot, finding}] |
| return.inspected | inspection_id, receipt_id, line_no, line_ref, site, sku, serial, lot, quantity, grade A-D,
findings [{code, note}], recommended_disposition, photos [sha256], supersedes or null, inspected_by, occurred_at |
| disposition.executed | execution_id, instruction_id, key, rma_number, site, disposition, sku, serial, lot, quantity,
line_ref, from_location, to_location, executed_by, occurred_at |
| parcel.scanned | scan_id, tracking_number, carrier, rma_number, status label_issued, handed_over, in_transit,
delivered or exception, weight_grams, place, reason, occurred_at |
| stock.counted | count_id, site, counts [{sku, lot, location, quantity}], occurred_at |

`finding` of a received line: as_announced, over, short (quantity 0, `missing_quantity` are not in the parcel),
wrong_item (not announced),
unknown (nobody knows what it is), unannounced (nothing was announced), damaged.

REST

| request | answer |
|---|---|
| POST /announcements {rma_number, tracking_number, lines [{line_ref, sku, quantity, serial, lot}]} | 201 the announcement; the Idempotency-Key is its name |
| GET /announcements/{key} | the announcement; status open, received or cancelled |
| POST /announcements/{key}/cancel | 200; 409 `already_received` |
| POST /instructions {disposition, rma_number, lines [{sku, quantity, serial, lot, line_ref, from_location}]} | 201,
status accepted; 409 `in_work`; 422 `not_on_hand`, `bad_value` |
| GET /instructions/{key} | the instruction; status accepted or executed |
| GET /receipts?since=&cursor=&limit= | {"receipts": [... with "inspections"], "next_cursor"}: received since this instant (our clock) |
| GET /stock | {"stock": [{sku, lot, location, quantity}]} |

What is received lies in location `returns`; an accepted instruction takes it to `in_work`,
its execution to the location of
the disposition (`LOCATIONS`). A correction moves it from there: from `from_location`, or without one from wherever it
lies, of any lot unless one is named, `returns` first and what is for sale last; while an earlier instruction has it
`in_work` it is refused with 409.

Acts

    receive      lines [{sku, quantity, serial, lot, barcode, description, line_ref, damaged}], rma_number,
    tracking_number,
                 weight_grams, parcel_condition, photos (how many), complete, counted_by, occurred_at   -> receipt
    inspect      receipt_id, line_no, grade, findings, quantity, sku, serial, lot, recommended_disposition, photos,
                 supersedes, inspected_by                                                               -> inspection
    execute      key or instruction_id, executed_by                                                     -> instruction
    scan         tracking_number, status, carrier, rma_number, weight_grams, place, reason, occurred_at -> scan
    count        sku (default: all)                                                                     -> count
    stock        sku, quantity, location, lot (goods from elsewhere, or a loss when negative)           -> stock row
    go_offline, go_online

Collections for `/_sim/truth`: announcements, receipts, inspections, instructions, executions, scans, stock, events,
held, keys.
"""  # noqa: E501

import hashlib
from datetime import datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.sdk.simulator import Doc, World, with_sim
from counterflow.sdk.simulator.site import Refusal, Site, int_of, one_of, positive, refuse, secret_of

LOCATIONS = {
    "restock": "sellable", "refurbish": "refurbishment", "repair": "repair", "quarantine": "quarantine",
    "return_to_vendor": "vendor", "liquidate": "liquidation", "donate": "donation", "recycle": "recycling",
    "scrap": "scrap", "send_back": "customer", "hold": "hold",
}  # fmt: skip
_GRADES = ("A", "B", "C", "D")
_SCANS = ("label_issued", "handed_over", "in_transit", "delivered", "exception")
_EXECUTE = "warehouse_execute"


def create_app(
    world: World,
    *,
    site: str = "warehouse-1",
    token: str = "wms_simulated",
    secret: str = secret_of("warehouse simulated"),
    webhook_url: str | None = None,
    execute_seconds: float | None = 60.0,
    skew_seconds: float = 0.0,
    reconnect_duplicates: float = 0.25,
) -> Starlette:
    """The warehouse as an ASGI app. `execute_seconds`: how long an instruction takes; None: until the act `execute`."""
    door = Site(
        world,
        token=token,
        secret=secret,
        webhook_url=webhook_url,
        skew_seconds=skew_seconds,
        reconnect_duplicates=reconnect_duplicates,
    )
    house = Warehouse(door, site, execute_seconds)
    for name in ("receive", "inspect", "execute", "scan", "count", "stock"):
        world.act(name)(getattr(house, name))
    world.on(_EXECUTE, house.run_due)
    routes = [
        door.route("/announcements", "POST", house.post_announcement, needs_site=False),
        door.route("/announcements/{key:path}/cancel", "POST", house.cancel_announcement, needs_site=False),
        door.route("/announcements/{key:path}", "GET", house.get_announcement, needs_site=False),
        door.route("/instructions", "POST", house.post_instruction, needs_site=False),
        door.route("/instructions/{key:path}", "GET", house.get_instruction, needs_site=False),
        door.route("/receipts", "GET", house.get_receipts, needs_site=False),
        door.route("/stock", "GET", house.get_stock, needs_site=False),
        door.events_route(),
    ]
    return with_sim(Starlette(routes=routes), world, refuse=refuse)


class Warehouse:
    def __init__(self, door: Site, site: str, execute_seconds: float | None) -> None:
        self._door, self._world, self._name, self._execute_seconds = door, door.world, site, execute_seconds

    # REST

    async def post_announcement(self, request: Request) -> Response:
        def announce(key: str, body: Doc) -> Doc:
            lines = [
                {"line_ref": line.get("line_ref"), "sku": _text(line, "sku"), "quantity": positive(line, "quantity"),
                 "serial": line.get("serial"), "lot": line.get("lot")}
                for line in body.get("lines") or []
            ]  # fmt: skip
            if not lines:
                raise Refusal("bad_value", "an announcement has lines")
            doc = {
                "key": key, "rma_number": _text(body, "rma_number"), "tracking_number": body.get("tracking_number"),
                "lines": lines, "status": "open", "announced_at": self._world.now().isoformat(),
            }  # fmt: skip
            self._world.put("announcements", key, doc)
            return doc

        return await self._door.once(request, announce)

    async def get_announcement(self, request: Request) -> Response:
        return JSONResponse(self._one("announcements", request.path_params["key"]))

    async def cancel_announcement(self, request: Request) -> Response:
        with self._world.tx():
            doc = self._one("announcements", request.path_params["key"])
            if doc["status"] == "received":
                raise Refusal("already_received", "the goods are here", 409)
            doc["status"] = "cancelled"
            self._world.put("announcements", doc["key"], doc)
        return JSONResponse(doc)

    async def post_instruction(self, request: Request) -> Response:
        return await self._door.once(request, self._instruct)

    async def get_instruction(self, request: Request) -> Response:
        return JSONResponse(self._one("instructions", request.path_params["key"]))

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

    async def get_stock(self, request: Request) -> Response:
        return JSONResponse({"stock": self._world.all("stock")})

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
                self._put(line["sku"] or "unknown", line["lot"], "returns", line["quantity"])
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
            "scan_id": self._door.number("SC"), "tracking_number": _text(data, "tracking_number"),
            "carrier": data.get("carrier", "carrier"), "rma_number": data.get("rma_number"),
            "status": one_of(data, "status", _SCANS), "weight_grams": data.get("weight_grams"),
            "place": data.get("place"),
            "reason": data.get("reason"), "occurred_at": data.get("occurred_at") or self._door.device_time(),
        }  # fmt: skip
        self._world.put("scans", doc["scan_id"], doc)
        self._door.say("parcel.scanned", doc, doc["occurred_at"])
        return doc

    # Dispositions

    def _instruct(self, key: str, body: Doc) -> Doc:
        disposition = one_of(body, "disposition", tuple(LOCATIONS))
        instruction_id = self._door.number("IN")
        lines = []
        for line in body.get("lines") or []:
            sku, quantity, lot = _text(line, "sku"), positive(line, "quantity"), line.get("lot")
            found = self._lies(sku, lot, quantity, line.get("from_location"), LOCATIONS[disposition])
            if found is None:
                if self._lies(sku, lot, quantity, "in_work", ""):
                    raise Refusal("in_work", f"{sku} is being worked on by an earlier instruction", 409)
                place = line.get("from_location") or "any location"
                raise Refusal("not_on_hand", f"{quantity} of {sku} asked for, so many are not in {place}")
            lot, origin = found
            self._put(sku, lot, origin, -quantity)
            self._put(sku, lot, "in_work", quantity)
            lines.append(
                {"sku": sku, "quantity": quantity, "serial": line.get("serial"), "lot": lot, "from_location": origin,
                 "line_ref": line.get("line_ref")}
            )  # fmt: skip
        if not lines:
            raise Refusal("bad_value", "an instruction has lines")
        doc = {
            "instruction_id": instruction_id, "key": key, "disposition": disposition,
            "rma_number": body.get("rma_number"),
            "lines": lines, "status": "accepted", "accepted_at": self._world.now().isoformat(),
        }  # fmt: skip
        self._world.put("instructions", key, doc)
        if self._execute_seconds is not None:
            due = self._world.now() + timedelta(seconds=self._execute_seconds)
            self._world.at(due, _EXECUTE, {"instruction_id": instruction_id})
        return doc

    def execute(self, data: Doc) -> Doc:
        doc = self._world.get("instructions", data["key"]) if "key" in data else self._by_id(data["instruction_id"])
        if doc is None:
            raise LookupError(f"instruction {data.get('key')}")
        return self.run(doc["instruction_id"], data.get("executed_by", "worker"))

    def run(self, instruction_id: str, by: str) -> Doc:
        """Carry it out, once: an instruction that is executed already stays as it is."""
        doc = self._by_id(instruction_id)
        if doc["status"] == "executed":
            return doc
        to = LOCATIONS[doc["disposition"]]
        for line in doc["lines"]:
            self._put(line["sku"], line["lot"], "in_work", -line["quantity"])
            self._put(line["sku"], line["lot"], to, line["quantity"])
            execution = {
                "execution_id": self._door.number("EX"), "instruction_id": instruction_id, "key": doc["key"],
                "rma_number": doc["rma_number"], "site": self._name, "disposition": doc["disposition"], **line,
                "to_location": to, "executed_by": by, "occurred_at": self._door.device_time(),
            }  # fmt: skip
            self._world.put("executions", execution["execution_id"], execution)
            self._door.say("disposition.executed", execution)
        doc["status"] = "executed"
        self._world.put("instructions", doc["key"], doc)
        return doc

    def run_due(self, payload: Doc) -> None:
        self.run(payload["instruction_id"], "conveyor")

    def _by_id(self, instruction_id: str) -> Doc:
        for doc in self._world.all("instructions"):
            if doc["instruction_id"] == instruction_id:
                return doc
        raise LookupError(f"instruction {instruction_id}")

    # Stock

    def count(self, data: Doc) -> Doc:
        rows = [row for row in self._world.all("stock") if data.get("sku") in (None, row["sku"])]
        doc = {
            "count_id": self._door.number("C"), "site": self._name, "counts": rows,
            "occurred_at": self._door.device_time()
        }  # fmt: skip
        self._door.say("stock.counted", doc)
        return doc

    def stock(self, data: Doc) -> Doc:
        return self._put(data["sku"], data.get("lot"), data.get("location", "sellable"), int(data["quantity"]))

    def _lies(
        self, sku: str, lot: str | None, quantity: int, place: str | None, target: str
    ) -> tuple[str | None, str] | None:
        """(lot, location) of so many pieces that are not yet in `target`; `lot` None: of any lot."""
        others = [name for name in LOCATIONS.values() if name not in ("sellable", target)]
        rows = [row for row in self._world.all("stock") if row["sku"] == sku and row["quantity"] >= quantity]
        for name in [place] if place else ["returns", *others, "sellable"]:
            for row in rows:
                if row["location"] == name and lot in (None, row["lot"]):
                    return row["lot"], name
        return None

    def _on_hand(self, sku: str, lot: str | None, location: str) -> int:
        row = self._world.get("stock", f"{sku}|{lot or ''}|{location}")
        return int(row["quantity"]) if row else 0

    def _put(self, sku: str, lot: str | None, location: str, quantity: int) -> Doc:
        row = {"sku": sku, "lot": lot, "location": location, "quantity": self._on_hand(sku, lot, location) + quantity}
        self._world.put("stock", f"{sku}|{lot or ''}|{location}", row)
        return row

    def _one(self, coll: str, key: str) -> Doc:
        doc = self._world.get(coll, key)
        if doc is None:
            raise LookupError(key)
        return doc


def _text(body: Doc, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal("bad_value", f"{name} is a text that is not empty, not {value!r}")
    return value

"""The shelves: what lies where, and the instructions that take it from one place to another."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.sdk.simulator import Doc, World
from counterflow.sdk.simulator.site import Refusal, Site, one_of, positive, text_of

LOCATIONS = {
    "restock": "sellable", "refurbish": "refurbishment", "repair": "repair", "quarantine": "quarantine",
    "return_to_vendor": "vendor", "liquidate": "liquidation", "donate": "donation", "recycle": "recycling",
    "scrap": "scrap", "send_back": "customer", "hold": "hold",
}  # fmt: skip
_EXECUTE = "warehouse_execute"


class Stock:
    """`execute_seconds`: how long an instruction takes; None: until the act `execute`."""

    def __init__(self, door: Site, site: str, execute_seconds: float | None) -> None:
        self._door, self._world, self._name, self._execute_seconds = door, door.world, site, execute_seconds
        self._world.on(_EXECUTE, self._run_due)

    # REST

    async def post_instruction(self, request: Request) -> Response:
        return await self._door.once(request, self._instruct)

    async def get_instruction(self, request: Request) -> Response:
        return JSONResponse(one(self._world, "instructions", request.path_params["key"]))

    async def get_stock(self, request: Request) -> Response:
        return JSONResponse({"stock": self._world.all("stock")})

    # Instructions

    def _instruct(self, key: str, body: Doc) -> Doc:
        disposition = one_of(body, "disposition", tuple(LOCATIONS))
        instruction_id = self._door.number("IN")
        lines = []
        for line in body.get("lines") or []:
            sku, quantity, lot = text_of(line, "sku"), positive(line, "quantity"), line.get("lot")
            found = self._lies(sku, lot, quantity, line.get("from_location"), LOCATIONS[disposition])
            if found is None:
                if self._lies(sku, lot, quantity, "in_work", ""):
                    raise Refusal("in_work", f"{sku} is being worked on by an earlier instruction", 409)
                place = line.get("from_location") or "any location"
                raise Refusal("not_on_hand", f"{quantity} of {sku} asked for, so many are not in {place}")
            lot, origin = found
            self.put(sku, lot, origin, -quantity)
            self.put(sku, lot, "in_work", quantity)
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
        return self._run(doc["instruction_id"], data.get("executed_by", "worker"))

    def _run(self, instruction_id: str, by: str) -> Doc:
        """Carry it out, once: an instruction that is executed already stays as it is."""
        doc = self._by_id(instruction_id)
        if doc["status"] == "executed":
            return doc
        to = LOCATIONS[doc["disposition"]]
        for line in doc["lines"]:
            self.put(line["sku"], line["lot"], "in_work", -line["quantity"])
            self.put(line["sku"], line["lot"], to, line["quantity"])
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

    def _run_due(self, payload: Doc) -> None:
        self._run(payload["instruction_id"], "conveyor")

    def _by_id(self, instruction_id: str) -> Doc:
        for doc in self._world.all("instructions"):
            if doc["instruction_id"] == instruction_id:
                return doc
        raise LookupError(f"instruction {instruction_id}")

    # Pieces

    def count(self, data: Doc) -> Doc:
        rows = [row for row in self._world.all("stock") if data.get("sku") in (None, row["sku"])]
        doc = {
            "count_id": self._door.number("C"), "site": self._name, "counts": rows,
            "occurred_at": self._door.device_time()
        }  # fmt: skip
        self._door.say("stock.counted", doc)
        return doc

    def stock(self, data: Doc) -> Doc:
        return self.put(data["sku"], data.get("lot"), data.get("location", "sellable"), int(data["quantity"]))

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

    def put(self, sku: str, lot: str | None, location: str, quantity: int) -> Doc:
        """So many pieces more there, or fewer."""
        row = {"sku": sku, "lot": lot, "location": location, "quantity": self._on_hand(sku, lot, location) + quantity}
        self._world.put("stock", f"{sku}|{lot or ''}|{location}", row)
        return row


def one(world: World, coll: str, key: str) -> Doc:
    """A document that somebody asks for. Raises LookupError: 404."""
    doc = world.get(coll, key)
    if doc is None:
        raise LookupError(key)
    return doc

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

from starlette.applications import Starlette

from counterflow.connectors.warehouse.simulator.dock import Dock
from counterflow.connectors.warehouse.simulator.stock import LOCATIONS, Stock
from counterflow.sdk.simulator import World, with_sim
from counterflow.sdk.simulator.site import Site, refuse, secret_of

__all__ = ["LOCATIONS", "create_app"]


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
    stock = Stock(door, site, execute_seconds)
    dock = Dock(door, site, stock)
    for act in (dock.receive, dock.inspect, dock.scan, stock.execute, stock.count, stock.stock):
        world.act(act.__name__)(act)
    routes = [
        door.route("/announcements", "POST", dock.post_announcement, needs_site=False),
        door.route("/announcements/{key:path}/cancel", "POST", dock.cancel_announcement, needs_site=False),
        door.route("/announcements/{key:path}", "GET", dock.get_announcement, needs_site=False),
        door.route("/instructions", "POST", stock.post_instruction, needs_site=False),
        door.route("/instructions/{key:path}", "GET", stock.get_instruction, needs_site=False),
        door.route("/receipts", "GET", dock.get_receipts, needs_site=False),
        door.route("/stock", "GET", stock.get_stock, needs_site=False),
        door.events_route(),
    ]
    return with_sim(Starlette(routes=routes), world, refuse=refuse)

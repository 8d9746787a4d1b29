"""What a warehouse says, in our words. Pure; the fields are explained in docs/connectors/warehouse.md."""

from collections.abc import Mapping

from counterflow.connectors.warehouse.manifest import WarehouseConfig
from counterflow.core.facts import Counted, DispositionExecuted, Fact, ItemInspected, ItemsReceived, ParcelMoved
from counterflow.core.inventory.locations import OPERATIONS
from counterflow.sdk.fields import Fields
from counterflow.sdk.goods import GRADES, findings_of, lot_status_of, pieces
from counterflow.sdk.site import Event, Translate

DISPOSITIONS = tuple(OPERATIONS)
LOT_STATUS = ("ok", "recalled", "expired")
UNKNOWN_SKU = "unknown"  # nobody could say what it is

# Status of a scan, or reason of an exception -> stage; every other word changes nothing and is kept.
STAGES = {
    "label_issued": "label_issued",
    "handed_over": "handed_over",
    "in_transit": "in_transit",
    "delivered": "delivered",
    "lost": "lost",
    "returned_to_sender": "returned_to_sender",
}


class Translation:
    """`events` is the table of everything that is understood."""

    def __init__(self, config: WarehouseConfig) -> None:
        self._places = config.places
        self.events: Mapping[str, Translate] = {
            "return.received": self._received,
            "return.inspected": self._inspected,
            "disposition.executed": self._executed,
            "parcel.scanned": self._scanned,
        }

    def _received(self, event: Event) -> list[Fact]:
        """What is really there, line by line; what was announced and is missing has no pieces to tell of."""
        data = event.data
        parcel_damaged = data.text("parcel_condition", "ok") == "damaged"
        rows = [row for row in data.rows("lines", needed=True) if row.quantity(least=0)]
        items = tuple(
            Counted(
                sku=row.text("sku", "") or row.text("barcode", UNKNOWN_SKU),
                quantity=pieces(row),
                serial=row.text("serial", ""),
                lot=row.text("lot", ""),
                line_ref=row.text("line_ref", ""),
                condition="damaged_parcel" if parcel_damaged or row.text("finding", "") == "damaged" else "ok",
            )
            for row in rows
        )
        body = ItemsReceived(
            receipt_ref=event.ref("receipt", data.text("receipt_id")),
            place=self._place(data),
            items=items,
            complete=data.flag("complete", True),
        )
        return [event.fact(body, event.refs(serials=[item.serial for item in items]), "warehouse")]

    def _inspected(self, event: Event) -> list[Fact]:
        data = event.data
        findings = findings_of(data)
        body = ItemInspected(
            inspection_ref=event.ref("inspection", data.text("supersedes", "") or data.text("inspection_id")),
            place=self._place(data),
            sku=data.text("sku", UNKNOWN_SKU),
            grade=data.word("grade", GRADES),
            quantity=pieces(data),
            serial=data.text("serial", ""),
            lot=data.text("lot", ""),
            line_ref=data.text("line_ref", ""),
            findings=findings,
            recommended=data.word("recommended_disposition", DISPOSITIONS, ""),
            lot_status=data.word("lot_status", LOT_STATUS, lot_status_of(findings)),
            inspector=data.text("inspected_by", ""),
        )
        return [event.fact(body, event.refs(serials=[body.serial]), "warehouse")]

    def _executed(self, event: Event) -> list[Fact]:
        data = event.data
        body = DispositionExecuted(
            disposition=data.word("disposition", DISPOSITIONS),
            sku=data.text("sku"),
            quantity=pieces(data),
            serial=data.text("serial", ""),
            line_ref=data.text("line_ref", ""),
            place=self._place(data),
            reversed=data.flag("reversed", False),
        )
        return [event.fact(body, event.refs(serials=[body.serial]), "warehouse")]

    def _scanned(self, event: Event) -> list[Fact]:
        """A carrier's scan that the warehouse passes on."""
        data = event.data
        tracking, status = data.text("tracking_number"), data.text("status")
        stage = STAGES.get(data.text("reason", "") if status == "exception" else status)
        if stage is None:
            return []
        return [event.fact(ParcelMoved(stage, tracking), event.refs(), "carrier")]

    def _place(self, data: Fields) -> str:
        site = data.text("site")
        return self._places.get(site, site)

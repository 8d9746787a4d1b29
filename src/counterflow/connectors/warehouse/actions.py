"""What we ask a warehouse to do: expect goods, and carry out what was decided about them."""

from typing import Any

from counterflow.connectors.warehouse.client import WarehouseClient
from counterflow.core.effects import AnnounceReturn, Effect, ExpectedItem, InstructDisposition
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, Done, Outcome, Rejected


class Actions:
    def __init__(self, client: WarehouseClient, connection: str) -> None:
        self._client, self._connection = client, connection

    async def send(self, effect: Effect) -> Outcome:
        """One command, once for its effect id. Raises the eight words."""
        match effect.command:
            case AnnounceReturn() as command:
                await self._client.announce(effect.effect_id, announcement_body(command))
                return self._announced(effect)
            case InstructDisposition() as command:
                return self._instructed(await self._client.instruct(effect.effect_id, instruction_body(command)))
        raise Rejected(f"a warehouse cannot do {effect.kind}: route it to another connection", code="command")

    async def find(self, effect: Effect) -> Outcome | None:
        """What became of it, by its key. Raises the eight words."""
        match effect.command:
            case AnnounceReturn():
                return self._announced(effect) if await self._client.announcement(effect.effect_id) else None
            case InstructDisposition():
                found = await self._client.instruction(effect.effect_id)
                return self._instructed(found) if found else None
        raise Rejected(f"a warehouse cannot do {effect.kind}: route it to another connection", code="command")

    def _announced(self, effect: Effect) -> Outcome:
        return Done(f"{self._connection}:announcement:{effect.effect_id}")

    def _instructed(self, instruction: Fields) -> Outcome:
        """Executed, refused on the floor, or still to be done: a status that we do not know is still to be done."""
        id_, status = instruction.text("instruction_id"), instruction.text("status")
        if status in ("refused", "cancelled"):
            reason = instruction.text("reason", status)
            return Rejected(f"instruction {id_} was {status}: {reason}. Choose another disposition", code=status)
        ref = f"{self._connection}:instruction:{id_}"
        return Done(ref) if status == "executed" else Accepted(ref)


def announcement_body(command: AnnounceReturn) -> dict[str, Any]:
    lines = [line for item in command.items for line in _lines(item)]
    return {
        "rma_number": command.rma_number,
        "order_number": command.order_number or None,
        "tracking_number": None,
        "lines": lines,
    }


def _lines(item: ExpectedItem) -> list[dict[str, Any]]:
    """A line for each serial that is expected, and one for the rest."""
    lot = item.lots[0] if len(item.lots) == 1 else None
    line = {"line_ref": item.line_ref, "sku": item.sku, "serial": None, "lot": lot}
    serials = item.serials[: item.quantity]
    lines: list[dict[str, Any]] = [{**line, "quantity": 1, "serial": serial} for serial in serials]
    rest = item.quantity - len(serials)
    return [*lines, {**line, "quantity": rest}] if rest else lines


def instruction_body(command: InstructDisposition) -> dict[str, Any]:
    """`from_location` is left out: the warehouse knows where the goods lie."""
    line = {
        "sku": command.sku,
        "quantity": command.quantity,
        "serial": command.serial or None,
        "lot": command.lot or None,
        "line_ref": command.line_ref or None,
    }
    return {
        "disposition": command.disposition,
        "rma_number": command.rma_number,
        "site": command.place or None,
        "reason": command.reason[:400],
        "lines": [line],
    }

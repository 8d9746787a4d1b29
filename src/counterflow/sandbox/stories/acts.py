"""What stories have in common: asking for a return, handing it in, counting and inspecting it in the warehouse."""

from typing import Any

from counterflow.sandbox.stage import Bought, Stage


async def ask(stage: Stage, story: str, bought: Bought, *skus: str, reason: str = "UNWANTED", quantity: int = 1) -> str:
    """Request a return in the shop's portal; the case, once it waits for the goods."""
    lines = [{"sku": sku, "quantity": quantity, "reason": reason} for sku in skus]
    await stage.act("shop", "request_return", order=bought.number, lines=lines)
    case = await stage.case_of(story, f"order:{bought.number}")
    await stage.reaches(case, "awaiting_goods", "resolved", "in_progress")
    return case


async def arrive(stage: Stage, case: str, *lines: dict[str, Any], **receipt: Any) -> dict[str, Any]:
    """Count goods in the warehouse under the case's RMA number; the receipt."""
    view = await stage.view(case)
    assert view is not None
    return await stage.act("wms", "receive", rma_number=view.rma_number, lines=list(lines), counted_by="bo", **receipt)


async def inspect(
    stage: Stage, receipt: dict[str, Any], grade: str, *findings: str, line_no: int = 1, **more: Any
) -> None:
    """Inspect one line of a receipt."""
    await stage.act(
        "wms",
        "inspect",
        receipt_id=receipt["receipt_id"],
        line_no=line_no,
        grade=grade,
        findings=[{"code": code, "note": ""} for code in findings],
        inspected_by="bo",
        **more,
    )


async def come_back(stage: Stage, case: str, sku: str, grade: str = "A", *findings: str, **line: Any) -> None:
    """The goods arrive in the warehouse and are inspected there."""
    receipt = await arrive(stage, case, {"sku": sku, "quantity": 1, **line})
    await stage.goods(case, "received")
    await inspect(stage, receipt, grade, *findings)

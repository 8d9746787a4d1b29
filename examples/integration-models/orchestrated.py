"""Orchestrated: a program asks Counterflow for the whole, over its API, and reads how far it is.

    python examples/integration-models/orchestrated.py

A service desk opens a return for a sale. Approval, announcement, receipt, refund, credit note and settlement in five
systems follow from that one call; the program only reads the case. Everything runs here, simulated, and is removed.
"""

import asyncio
import tempfile
from pathlib import Path

from counterflow.sandbox.demo import tell
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import come_back
from counterflow.sandbox.town import open_town


async def service_desk(stage: Stage) -> None:
    """One POST; the rest follows when the goods arrive."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    orders = (await stage.outside.get("/shop/_sim/truth/orders")).json()
    [order] = [each for each in orders if each["name"] == bought.number]
    line = order["lines"][0]["id"].rpartition("/")[2]
    sale_ref = f"shop:order:{bought.order_id.rpartition('/')[2]}"
    told = await stage.post("/cases", sale_ref=sale_ref, lines=[{"line_ref": line, "quantity": 1}])
    case_id = told["case_id"]
    stage.cases.setdefault("service_desk", []).append(case_id)
    await stage.reaches(case_id, "awaiting_goods")
    await come_back(stage, case_id, "TEE")
    await stage.reaches(case_id, "closed")


async def main() -> dict[str, object]:
    """The case as the API tells it in the end."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_town(Path(folder)) as (_, stage):
            [told] = await tell(stage, {"service_desk": service_desk})
            if told.error:
                raise SystemExit(told.error)
            case = (await stage.api.get(f"/cases/{told.cases[0]}")).json()
            return {name: case[name] for name in ("status", "entitled_minor", "paid_minor", "currency")}


if __name__ == "__main__":
    print(asyncio.run(main()))

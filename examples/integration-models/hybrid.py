"""Event-driven hybrid: systems tell what happens, and sweeps find what they did not tell.

    python examples/integration-models/hybrid.py

Customers ask for returns in the shop's own portal. Each system then speaks by webhook; one message in ten is lost here,
some come twice, all come late. Sweeps read the same feeds, so nothing is missing in the end.
"""

import asyncio
import tempfile
from pathlib import Path

from counterflow.core.returns.case import View
from counterflow.sandbox.demo import report, tell
from counterflow.sandbox.estate import SYSTEMS
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import ask, come_back
from counterflow.sandbox.town import open_town


async def lose_one_in_ten(stage: Stage) -> None:
    """Let each system lose a message in ten, send one in five twice, and all of them late."""
    for name in SYSTEMS:
        chaos = {"lose": 0.1, "duplicate": 0.2, "jitter_seconds": 30.0}
        (await stage.outside.post(f"/{name}/_sim/chaos", json=chaos)).raise_for_status()


async def customer(stage: Stage) -> None:
    """From the portal to the money; the provider pays out later, when its balance allows."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case_id = await ask(stage, "customer", bought, "TEE")
    await come_back(stage, case_id, "TEE")
    await stage.reaches(case_id, "resolved", "closed")
    await stage.see(
        case_id, "the books", lambda v: any(p.kind == "refund_payment" and p.document_ref for p in v.postings)
    )


def _booked(view: View) -> bool:
    return any(posting.kind == "refund_payment" and posting.document_ref for posting in view.postings)


async def main() -> dict[str, object]:
    """How many cases were resolved, and which sums do not hold."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_town(Path(folder)) as (_, stage):
            await lose_one_in_ten(stage)
            told = await tell(stage, {"customer": customer})
            if stuck := [each.error for each in told if each.error]:
                raise SystemExit("; ".join(stuck))
            proof = await report(stage, told, started=0.0)
            broken = [each["name"] for each in proof.invariants if not each["holds"]]
            return {"resolved": sum(each.resolved for each in told), "broken": broken}


if __name__ == "__main__":
    print(asyncio.run(main()))

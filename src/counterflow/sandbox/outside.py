"""The outside world as one process: every simulator under its own path, with durable state and a shared clock.

python -m counterflow.sandbox.outside <home> <port> <port of the API> <seed>
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import uvicorn
from starlette.applications import Starlette

from counterflow.connectors.bank.simulator import create_app as bank
from counterflow.connectors.notify.simulator import create_app as notify
from counterflow.connectors.odoo.simulator import create_app as odoo
from counterflow.connectors.pos.simulator import create_app as pos
from counterflow.connectors.shopify.simulator import create_app as shopify
from counterflow.connectors.stripe.simulator import create_app as stripe
from counterflow.connectors.warehouse.simulator import create_app as warehouse
from counterflow.sandbox import real_medusa, real_odoo
from counterflow.sandbox.estate import SECRETS
from counterflow.sdk.simulator import Chaos, Clock, World, together

Maker = Callable[[World], Starlette]

# Every message of every story is late, some twice, some in the wrong order.
CHAOS = Chaos(duplicate=0.15, reorder_seconds=20.0, jitter_seconds=5.0)


def create_outside(home: Path, port: int, api_port: int, *, seed: int) -> Starlette:
    """All simulators of the estate in one ASGI app; their state is under `home/outside`."""
    clock = Clock(home / "clock")
    real, medusa = real_odoo.given(), real_medusa.given()
    # A real Odoo outlives this world: its documents are told from those of other worlds by their numbers.
    first = int(time.time()) % 100_000_000 if real else 0

    def world(name: str) -> World:
        folder = home / "outside"
        folder.mkdir(parents=True, exist_ok=True)
        made = World(name, folder / f"{name}.db", clock, seed, first)
        made.chaos = CHAOS
        return made

    instead: dict[str, Maker] = {}
    if medusa:
        instead["shop"] = lambda world: real_medusa.create_app(world, medusa)
    if real:
        instead["odoo"] = lambda world: real_odoo.create_app(world, real, home)
    return together(simulators(world, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{api_port}/webhooks", instead))


def simulators(
    world: Callable[[str], World], base: str, hooks: str, instead: Mapping[str, Maker] = MappingProxyType({})
) -> dict[str, Starlette]:
    """Every simulator of the estate by its connection's name; they are reached under `base`, and tell us at `hooks`.

    `instead`: what stands in the place of some of them.
    """
    makers: dict[str, Maker] = {
        "shop": lambda world: shopify(
            world,
            access_token=SECRETS["shop_token"],
            api_secret=SECRETS["shop_secret"],
            webhook_url=f"{hooks}/shop",
            locations=("Warehouse", "Store 1"),
        ),
        "psp": lambda world: stripe(
            world,
            api_key=SECRETS["psp_key"],
            webhook_url=f"{hooks}/psp",
            webhook_secret=SECRETS["psp_secret"],
            bank_url=f"{base}/bank/_sim/do/credit",
        ),
        "bank": lambda world: bank(
            world,
            api_token=SECRETS["bank_token"],
            webhook_url=f"{hooks}/bank",
            webhook_secret=SECRETS["bank_secret"],
        ),
        "odoo": lambda world: odoo(world, keys={SECRETS["odoo_key"]: "integration"}, database="odoo19"),
        "till-1": lambda world: pos(
            world,
            store="store-1",
            till="till-1",
            token=SECRETS["till_token"],
            secret=SECRETS["till_secret"],
            webhook_url=f"{hooks}/till-1",
        ),
        "wms": lambda world: warehouse(
            world,
            site="wh-1",
            token=SECRETS["wms_token"],
            secret=SECRETS["wms_secret"],
            webhook_url=f"{hooks}/wms",
        ),
        "mail": lambda world: notify(world, secret=SECRETS["mail_secret"]),
    }
    return {name: make(world(name)) for name, make in {**makers, **instead}.items()}


if __name__ == "__main__":
    home, port, api_port, seed = Path(sys.argv[1]), *map(int, sys.argv[2:])
    world = create_outside(home, port, api_port, seed=seed)
    uvicorn.run(world, host="127.0.0.1", port=port, log_level="error", access_log=False)

"""A simulated Odoo Community, 19 behind JSON-2 or 18 behind JSON-RPC, for what a returns middleware uses of it.

It behaves and misbehaves like the recorded one: no unique references, no guard against returning or paying too much,
actions instead of True, failures of `load()` with HTTP 200, lock dates that move entries, work that commits after its
client has left. Beside the API it answers `GET /_sim/books` (ledger, stock and documents) and the acts of `acts.py`.

Faults of its own (`POST /_sim/faults`): `html_error` (a proxy's 502 page, nothing done), `serialization_failure`
(HTTP 500, nothing done), `load_conflict` (`load` answers `ids: false`), `slow_commit` (`seconds` of real time before
the work is done, and it is done even when the client has left).

Known to differ: one company; only sales taxes in percent; tills post nothing when their sessions close;
chatter holds the few notes that people look for; calls overlap only during `latency_seconds`, and what overlaps is not
slowed down by retries; payment in parallel is seen by the wizard alone; a parcel's date does not order transfers.
"""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.connectors.odoo.simulator.acts import register
from counterflow.connectors.odoo.simulator.books import books
from counterflow.connectors.odoo.simulator.calls import Odoo, registry
from counterflow.connectors.odoo.simulator.database import Database
from counterflow.connectors.odoo.simulator.release import release
from counterflow.connectors.odoo.simulator.web import Web, label, refusals
from counterflow.sdk.simulator import World, with_sim

KEYS = {
    "odoo-integration-key": "integration",
    "odoo-admin-key": "admin",
    "odoo-minimal-key": "minimal",
    "odoo-none-key": "none",
}


def create_app(
    world: World,
    keys: Mapping[str, str] = KEYS,
    database: str = "odoo19",
    latency_seconds: float = 0.0,
    version: str = "19.0",
) -> Starlette:
    """The simulator's ASGI app.

    `keys` are API keys and their roles (admin, integration, minimal, none). `latency_seconds` is real time between
    the snapshot of a call and its commit: calls that overlap conflict as they do in the real one. `version` is 19.0 or
    18.0.
    """
    of = release(version)
    models, contract = registry(of)
    odoo = Odoo(Database(world, models, of), models, contract)
    register(world, odoo)
    sim = with_sim(
        Web(odoo, world, keys, database, latency_seconds, version).app(), world, refusals(version != "19.0"), label
    )

    async def show_books(request: Request) -> Response:
        return JSONResponse(books(odoo.env()))

    sim.router.routes.insert(0, Route("/_sim/books", show_books))
    return sim


__all__ = ["KEYS", "create_app"]

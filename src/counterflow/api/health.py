"""Whether this process lives, and whether it can take work; and the page that problem types point to."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from counterflow import __version__
from counterflow.api import problems
from counterflow.api.problems import documented
from counterflow.api.route import The

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/healthz", responses=documented(500))
async def alive() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/readyz", responses=documented(500, 503))
async def ready(the: The) -> Alive:
    """The database answers and nothing is full: deliveries are taken."""
    async with the.pool.connection(timeout=2) as conn:
        await conn.execute("SELECT 1")
    await the.intake.pressure.check()
    return Alive()


@router.get("/problems", response_class=HTMLResponse, responses=documented(500))
async def kinds() -> HTMLResponse:
    """What each kind of problem means and what to do."""
    return HTMLResponse(problems.page())

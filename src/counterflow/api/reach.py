"""The cases that a caller may reach, and telling facts of theirs."""

from collections.abc import Sequence
from typing import Any

from counterflow.api.access import Caller
from counterflow.api.problems import Problem, not_found
from counterflow.api.services import Services
from counterflow.api.shapes import Told
from counterflow.core.facts import Fact
from counterflow.store import case_queries, xref


async def case_of(services: Services, caller: Caller, case_id: str) -> dict[str, Any]:
    """A case's row. Raises Problem 404, also for one that the key does not cover: it says nothing of what it hides."""
    async with services.pool.connection() as conn:
        row = await case_queries.get(conn, case_id, caller.channels)
    if row is None:
        raise not_found(f"There is no case {case_id}")
    return row


async def case_by(services: Services, caller: Caller, refs: Sequence[str]) -> str:
    """The case that the first known reference leads to; empty where none is known. Raises Problem 404 as above."""
    async with services.pool.connection() as conn:
        found = await xref.find(conn, refs)
    for ref in refs:
        for target in found.get(ref, ()):
            if target.kind == "case":
                await case_of(services, caller, target.target)
                return target.target
    if not caller.sees_all_channels:
        raise not_found(f"Nothing is known of {', '.join(refs)}")
    return ""


async def tell(services: Services, case_id: str, *facts: Fact) -> Told:
    """Store what somebody did; it is decided on within moments. Raises Busy."""
    await services.intake.tell(facts)
    return Told(case_id=case_id, fact_ids=[fact.fact_id for fact in facts])


def known_place(services: Services, place: str) -> None:
    """Raise Problem 422 for a place that is not configured."""
    places = [each.name for each in services.setting.routes.places]
    if place not in places:
        listed = ", ".join(places) or "none is configured yet"
        raise Problem("invalid", f"body.place: there is no place {place!r}; use one of: {listed}")

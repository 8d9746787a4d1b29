"""Replay: decide the whole log again and compare."""

from datetime import UTC, datetime

from counterflow.cli.failures import FAILED
from counterflow.cli.shell import Out, dump, plain, runtime, show


async def replay(*, since: datetime | None = None, dry_run: bool = False, output: Out = "table") -> int:
    """Fold the log again through the decision and compare with what is stored. It changes nothing outside or here.

    Parameters
    ----------
    since
        Only cases with something recorded at or after this instant (UTC unless it names its offset).
    dry_run
        List the effects that would be planned anew under the rules of today, too.
    """
    from counterflow.core.returns.decide import decide
    from counterflow.engine.replay import verify

    start = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    async with runtime() as opened, opened.pool.connection() as conn:
        found = await verify(conn, decide, opened.setting, since=start)
    if output == "json":
        result = plain(found)
        dump({**result, "holds": found.holds, "new_effects": [_effect(e) for e in found.new_effects]})
    else:
        print(f"{found.facts} facts of {found.cases} cases decided again")
        print(f"views of the log  {found.state_hash}\nviews as stored   {found.stored_hash}")
        for what, cases in (
            ("the chain is broken", found.broken_chains),
            ("the view differs", found.different_views),
            ("the effects differ", found.different_effects),
            ("the decision failed", [f"{case_id} ({why})" for case_id, why in found.failed]),
        ):
            for case in cases:
                print(f"{what}: {case}")
        if dry_run:
            effects = map(_effect, found.new_effects)
            show(effects, ("kind", "connection", "case_id", "because"), "table", "No effect would be planned anew.")
    return 0 if found.holds and not (dry_run and found.new_effects) else FAILED


def _effect(effect: object) -> dict[str, object]:
    fields = {name: getattr(effect, name) for name in ("effect_id", "kind", "connection", "because")}
    return {**fields, "case_id": getattr(effect, "owner", "")}

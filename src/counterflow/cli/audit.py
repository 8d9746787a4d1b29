"""The audit trail: verify it, and export it so that somebody else can."""

from datetime import UTC, datetime
from pathlib import Path

from cyclopts import App

from counterflow.cli.failures import CONFLICT, FAILED, Stop
from counterflow.cli.shell import Out, desk, dump, plain, shown

app = App(name="audit", help="Verify and export the log.")


@app.command
async def verify(*, keys: Path | None = None, checkpoints: Path | None = None, output: Out = "table") -> int:
    """Check every row, chain and checkpoint of the log against the copies of the checkpoints outside the database.

    Parameters
    ----------
    keys
        The public keys that you trust; else keys/audit.pub of this installation.
    checkpoints
        Where the copies of the checkpoints are; else COUNTERFLOW_CHECKPOINT_DIR, or checkpoints/ of this installation.
    """
    from counterflow.settings import Settings
    from counterflow.store import audit
    from counterflow.store.keys import read_public

    settings = Settings()
    trusted = read_public(keys or settings.home / "keys" / "audit.pub")
    async with desk() as at:
        report = await audit.verify(at.conn, checkpoints or settings.checkpoints, trusted)
    if output == "json":
        findings = [{**plain(each), "next_move": each.next_move} for each in report.findings]
        dump({**plain(report), "holds": report.holds, "findings": findings})
    else:
        print(f"{report.rows} rows of {report.cases} cases, {report.checkpoints} checkpoints")
        proven = (
            f"checkpoint {report.proven_to}, taken {shown(report.proven_at)}" if report.proven_to else "no checkpoint"
        )
        print(f"proven up to {proven}; {report.rows_after} rows after it are chained but not signed yet")
        for each in report.findings:
            print(f"{each.what}: {shown(each.message)}: {each.next_move}")
        if report.left_out:
            print(f"and {report.left_out} more")
    return 0 if report.holds else FAILED


@app.command
async def export(
    directory: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    case: str = "",
    output: Out = "table",
) -> None:
    """Write rows, checkpoints and public keys into a new directory, for a verifier that needs nothing of ours.

    Parameters
    ----------
    directory
        A new or empty directory.
    since
        Cases with something recorded at or after this instant (UTC unless it names its offset).
    until
        Cases with something recorded before this instant.
    case
        Only this case.
    """
    from counterflow.settings import Settings
    from counterflow.store import audit_export
    from counterflow.store.keys import read_public

    trusted = read_public(Settings().home / "keys" / "audit.pub")
    async with desk() as at:
        try:
            found = await audit_export.export(
                at.conn, directory, trusted, since=_utc(since), until=_utc(until), case_id=case
            )
        except FileExistsError as error:
            raise Stop(CONFLICT, str(error)) from None
    if output == "json":
        dump(found)
    else:
        print(f"{found.rows} rows of {found.cases} cases and {found.checkpoints} checkpoints are in {directory}")
        print(
            "Give keys/audit.pub to the verifier by another way, then: python tools/verify_audit.py " + str(directory)
        )


def _utc(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)

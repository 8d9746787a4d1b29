"""Is everything as it should be: database, configuration, connections, clock, policies, keys, disk."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from counterflow.cli.failures import FAILED, UNAVAILABLE
from counterflow.cli.shell import Out, show

if TYPE_CHECKING:
    from counterflow.configuration import Configuration
    from counterflow.runtime import Runtime
    from counterflow.settings import Settings

DISK_LEAST = 1_000_000_000  # bytes: Postgres alone may write 2 GB of log in a burst
CLOCK_MOST_SECONDS = 5.0
CHECK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is connection for what a partner has to mend, else ours."""

    what: str
    fine: bool
    next_move: str = ""
    about: str = ""


async def doctor(*, output: Out = "table") -> int:
    """Check the installation from end to end. Exits 1 if something is wrong here, 6 if only a partner is."""
    from counterflow.settings import Settings

    settings = Settings()
    found = [_disk(settings), *_keys(settings)]
    configuration, problems = _configuration(settings)
    found += problems
    url, problems = await _database(settings)
    found += problems
    if url and configuration is not None:
        found += await _running(settings)
    show(found, ("fine", "what", "next_move"), output)
    wrong = [finding for finding in found if not finding.fine]
    if all(finding.about == "connection" for finding in wrong):
        return UNAVAILABLE if wrong else 0
    return FAILED


def _disk(settings: "Settings") -> Finding:
    import shutil

    home = next((path for path in (settings.home, *settings.home.absolute().parents) if path.exists()), settings.home)
    free = shutil.disk_usage(home).free
    said = f"disk: {free / 1e9:.1f} GB free at {settings.home}"
    return Finding(said, free >= DISK_LEAST, "" if free >= DISK_LEAST else "free at least 1 GB")


def _keys(settings: "Settings") -> list[Finding]:
    from counterflow.store import keys, secret

    found = []
    for what, load in (("install secret", secret.load_or_create), ("audit key", keys.load_or_create)):
        if not (settings.home / "keys").exists():
            found.append(Finding(f"keys: no {what} yet", False, f"run `counterflow init {settings.home}`"))
            continue
        try:
            load(settings.home)
            found.append(Finding(f"keys: {what}", True))
        except (secret.SecretError, keys.KeyFileError, OSError) as error:
            found.append(Finding(f"keys: {what}", False, str(error)))
    return found


def _configuration(settings: "Settings") -> "tuple[Configuration | None, list[Finding]]":
    from counterflow.configuration import ConfigurationError, load
    from counterflow.core.policy import in_force, run_golden

    try:
        configuration = load(settings.home)
    except ConfigurationError as error:
        return None, [Finding("configuration", False, line) for line in str(error).splitlines()]
    found = [Finding(f"configuration: {len(configuration.connections)} connections", True)]
    sets = configuration.setting.policies
    try:
        now = in_force(sets, datetime.now(UTC))
        broken = [str(problem) for each in sets for problem in run_golden(each)]
    except ValueError as error:
        now, broken = None, [str(error)]
    if now is None and not broken:
        broken = ["no policy is in force yet: let one start in the past"]
    found += _addresses(configuration)
    found += [Finding("policies", False, problem) for problem in broken]
    return configuration, found if broken else [*found, Finding(f"policies: {now.version if now else ''}", True)]


def _addresses(configuration: "Configuration") -> list[Finding]:
    """Addresses to which a credential would travel in the clear."""
    from urllib.parse import urlsplit

    return [
        Finding(f"{name}: {field} is not encrypted", False, f"use https:// for {url.hostname}, or a tunnel on loopback")
        for name, connection in configuration.connections.items()
        for field, value in connection.config
        if isinstance(value, str) and value.startswith("http://")
        for url in [urlsplit(value)]
        if url.hostname not in ("localhost", "127.0.0.1", "::1")
    ]


async def _database(settings: "Settings") -> tuple[str, list[Finding]]:
    import asyncio

    import psycopg

    from counterflow.runtime import database_url
    from counterflow.store.embedded import EmbeddedError
    from counterflow.store.migrate import MigrationError, current

    try:
        url = await asyncio.to_thread(database_url, settings)
        schema = await asyncio.to_thread(current, url)
        with psycopg.connect(url) as conn:
            at, version = conn.execute(
                "SELECT clock_timestamp(), current_setting('server_version_num')::int"
            ).fetchone() or (None, 0)
    except (psycopg.Error, EmbeddedError, MigrationError) as error:
        return "", [Finding("database", False, " ".join(str(error).split()))]
    kind = "given" if settings.database_url else "embedded"
    found = [
        Finding(
            f"database: {kind}, PostgreSQL {version // 10_000}",
            version >= 150_000,
            "" if version >= 150_000 else "use 15 or newer",
        ),
        Finding(f"migrations: at {schema}", True),
    ]
    if at is not None and settings.clock_file is None:
        apart = abs((datetime.now(UTC) - at).total_seconds())
        fine = apart <= CLOCK_MOST_SECONDS
        found.append(
            Finding(f"clock: {apart:.1f} s from the database's", fine, "" if fine else "set up time synchronisation")
        )
    return url, found


async def _running(settings: "Settings") -> list[Finding]:
    from counterflow.runtime import open_runtime
    from counterflow.store import connection_queries, metric_queries

    async with open_runtime(settings, pool_size=2) as opened:
        async with opened.pool.connection() as conn:
            workers, _ = await metric_queries.at_work(conn)
            stopped = [row for row in await connection_queries.standing(conn) if row.circuit == "stopped"]
        found = [
            Finding(f"workers: {workers}", workers > 0, "" if workers else "start `counterflow serve` or `worker`")
        ]
        found += [
            Finding(f"{row.name}: stopped", False, f"{row.reason}: mend it, then retry its exception", "connection")
            for row in stopped
        ]
        return found + await _connections(opened)


async def _connections(opened: "Runtime") -> list[Finding]:
    import asyncio

    found = []
    for name, connector in opened.connectors.items():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                checks = await connector.check()
            found += [Finding(f"{name}: {what}", fine, move, "connection") for what, fine, move in checks]
        except TimeoutError:
            found.append(Finding(f"{name}: no answer", False, "see whether it is up and can be reached", "connection"))
        except Exception as error:  # whatever a connector raises, the others are checked as well
            found.append(Finding(f"{name}: {type(error).__name__}", False, str(error)[:300], "connection"))
    return found

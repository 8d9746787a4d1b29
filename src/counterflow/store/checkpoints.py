"""Signed checkpoints over the heads of the chains, in the database and outside it.

A checkpoint signs a Merkle root over the head (case, seq, hash) of every case that was written since the checkpoint
before, and the hash of that checkpoint; by these links each one speaks for all cases. What an outsider has to know:

    body       canonical JSON of `Statement`; its hash is sha256("counterflow checkpoint 1\\n" + body)
    signature  Ed25519 over the same bytes
    heads      a line "<case> <seq> <hash>" per case, in byte order of the case
    root       leaf = sha256(0x00 + case + 0x00 + seq (8 bytes, big endian) + hash); node = sha256(0x01 + left + right);
               a last node without a partner moves up as it is

Cost: one index range of the log (the rows since the last checkpoint), one hash per changed case and one insert, however
many cases there are. Only the first checkpoint, and the first one on another server, reads the whole log.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from psycopg import AsyncConnection

from counterflow.store import outside
from counterflow.store.codec import decode, encode
from counterflow.store.keys import Keys
from counterflow.store.shards import LOCK_CHECKPOINT

EVERY_ROWS = 10_000
EVERY = timedelta(minutes=1)
HEADS_MAX = 50_000  # of one checkpoint: more are several, so that memory is bounded
PUBLISHED_AT_ONCE = 200  # a new directory is filled over several sweeps

FIRST = bytes(32).hex()  # what the first checkpoint is linked to

P = ParamSpec("P")
R = TypeVar("R")

Head = tuple[str, int, bytes]  # case id, seq, hash


class CheckpointError(Exception):
    """No checkpoint can be taken or kept; the message names the next move. The log goes on without."""


class Statement(msgspec.Struct, frozen=True):
    """What is signed. Hashes and keys are hexadecimal; `rows` is how many log rows are new under this checkpoint.

    `horizon` and `cluster`: the rows of all transactions of this server below the horizon are covered.
    """

    format: int
    number: int
    recorded_at: datetime
    cases: int
    rows: int
    root: str
    prev: str
    public_key: str
    horizon: str
    cluster: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement about all heads of chains; `heads` is JSON."""

    number: int
    body: str
    heads: str
    signature: bytes

    @property
    def statement(self) -> Statement:
        """Raises msgspec.ValidationError or DecodeError for a body that is none."""
        return decode(Statement, self.body)

    @property
    def hash(self) -> bytes:
        """What the next checkpoint names as the one before."""
        return sha256(message(self.body)).digest()

    @property
    def file(self) -> str:
        """Where it lies in a directory of checkpoints: a folder per day keeps folders small."""
        return f"{self.statement.recorded_at:%Y-%m-%d}/{self.number:010d}.json"

    def to_json(self) -> str:
        """As it is kept outside the database."""
        return encode(
            {"number": self.number, "body": self.body, "heads": self.heads, "signature": self.signature.hex()}
        )


def message(body: str) -> bytes:
    """The bytes that are signed."""
    return b"counterflow checkpoint 1\n" + body.encode()


def merkle_root(heads: Iterable[Head]) -> bytes:
    """The root over at least one head, in the order given."""
    level = [sha256(b"\0" + c.encode() + b"\0" + seq.to_bytes(8, "big") + digest).digest() for c, seq, digest in heads]
    while len(level) > 1:
        pairs = [sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def parse_heads(text: str) -> list[Head]:
    """Raises ValueError."""
    heads = []
    for line in text.splitlines():
        case_id, seq, digest = line.split(" ")
        heads.append((case_id, int(seq), bytes.fromhex(digest)))
    return heads


def problems(checkpoint: Checkpoint, trusted: Sequence[bytes]) -> list[str]:
    """What is wrong with one checkpoint by itself, in words; empty: a trusted key signed it and these heads."""
    try:
        said, heads = checkpoint.statement, parse_heads(checkpoint.heads)
        key = bytes.fromhex(said.public_key)
        root = merkle_root(heads).hex()
    except (msgspec.MsgspecError, ValueError, OverflowError, IndexError) as error:
        return [f"its text cannot be read ({error})"]
    found = []
    if key not in trusted:
        found.append(f"it was signed with a key that is not trusted ({said.public_key})")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(checkpoint.signature, message(checkpoint.body))
    except (InvalidSignature, ValueError):
        found.append("its signature does not fit its text")
    if said.number != checkpoint.number:
        found.append(f"its text is that of checkpoint {said.number}")
    if said.root != root or said.cases != len(heads):
        found.append("its heads are not those that were signed")
    return found


# ---- taking ----------------------------------------------------------------------------------------------------------


async def checkpoint_if_due(conn: AsyncConnection, keys: Keys, now: datetime, directory: Path) -> Checkpoint | None:
    """What a worker's sweep calls, as often as it likes: take a checkpoint if one is due and nobody else is at it.

    `conn` must be in autocommit. Also brings files outside that are missing there. Raises CheckpointError: log it and
    go on, the next call tries again.
    """
    last = await latest(conn)
    kept = await _outside(outside.newest, directory)
    behind = last is not None and (kept is None or kept.number < last.number)
    if not behind and not await checkpoint_due(conn, now):
        return None
    async with _alone(conn, wait=False) as alone:
        if not alone:
            return None
        taken = await _take(conn, keys, now, directory) if await checkpoint_due(conn, now) else None
        await publish(conn, directory)
        return taken


async def take_checkpoint(conn: AsyncConnection, keys: Keys, now: datetime, directory: Path) -> Checkpoint | None:
    """Take one now, after whoever is at it; None when nothing was written since the last. Raises CheckpointError.

    More than 50,000 changed cases make several, of which the last is returned.
    """
    async with _alone(conn, wait=True):
        taken = await _take(conn, keys, now, directory)
        await publish(conn, directory)
        return taken


async def checkpoint_due(conn: AsyncConnection, now: datetime) -> bool:
    """10,000 rows or a minute since the last one, and something was written."""
    last = await latest(conn)
    said = last.statement if last else None
    found = await conn.execute(
        "SELECT count(*) FROM (SELECT 1 FROM log WHERE tx >= %s::text::xid8 LIMIT %s) t",
        (said.horizon if said else "0", EVERY_ROWS),
        prepare=True,
    )
    row = await found.fetchone()
    rows = row[0] if row else 0
    return rows >= EVERY_ROWS or (rows > 0 and (said is None or now - said.recorded_at >= EVERY))


async def latest(conn: AsyncConnection) -> Checkpoint | None:
    """The last checkpoint, without its heads."""
    found = await conn.execute(
        "SELECT number, body, '', signature FROM checkpoints ORDER BY number DESC LIMIT 1", prepare=True
    )
    row = await found.fetchone()
    return Checkpoint(*row) if row else None


async def publish(conn: AsyncConnection, directory: Path) -> int:
    """Write what the directory does not have yet, up to 200 checkpoints; how many. Raises CheckpointError."""
    kept = await _outside(outside.newest, directory)
    after, count = kept.number if kept else 0, 0
    while count < PUBLISHED_AT_ONCE:
        found = await conn.execute(
            "SELECT number, body, heads, signature FROM checkpoints WHERE number > %s ORDER BY number LIMIT 1",
            (after,),
            prepare=True,
        )
        if (row := await found.fetchone()) is None:
            break
        one = Checkpoint(*row)
        await _outside(outside.keep, directory, one.number, one.hash.hex(), one.file, one.to_json())
        after, count = one.number, count + 1
    return count


async def _take(conn: AsyncConnection, keys: Keys, now: datetime, directory: Path) -> Checkpoint | None:
    last = await latest(conn)
    said = last.statement if last else None
    await _hold_against_outside(conn, last, directory)
    if last and said:
        _hold_against_keys(last, said, keys)
    async with conn.transaction():
        found = await conn.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, system_identifier::text FROM pg_control_system()"
        )
        row = await found.fetchone()
        assert row is not None
        horizon, cluster = row
        # Another server counts its transactions otherwise, so nothing can be told from the numbers of the old one.
        known = said is not None and said.cluster == cluster and int(said.horizon) <= int(horizon)
        async with conn.cursor(name="heads") as changed:
            await changed.execute(
                f"""
                SELECT l.case_id, l.seq, l.hash, w.rows FROM log l JOIN (
                    SELECT case_id, max(seq) AS seq, count(*) AS rows FROM log
                    {"WHERE tx >= %(since)s::text::xid8 AND tx < %(horizon)s::text::xid8" if known else ""}
                    GROUP BY case_id
                ) w USING (case_id, seq) ORDER BY l.case_id COLLATE "C"
                """,
                {"since": said.horizon, "horizon": horizon} if known and said else None,
            )
            more, taken = await changed.fetchmany(HEADS_MAX), None
            while rows := more:
                more = await changed.fetchmany(HEADS_MAX)
                # Only the last of several says that everything below the horizon is covered.
                upto = (said.horizon, said.cluster) if more and said else ("0", "") if more else (horizon, cluster)
                last = taken = _sign(last, keys, now, rows, *upto)
                await conn.execute(
                    "INSERT INTO checkpoints (number, recorded_at, body, heads, signature) VALUES (%s, %s, %s, %s, %s)",
                    (taken.number, now, taken.body, taken.heads, taken.signature),
                )
    return taken


def _sign(
    last: Checkpoint | None,
    keys: Keys,
    now: datetime,
    rows: Sequence[tuple[str, int, bytes, int]],
    horizon: str,
    cluster: str,
) -> Checkpoint:
    heads = [(case_id, seq, digest) for case_id, seq, digest, _ in rows]
    statement = Statement(
        format=1,
        number=(last.number if last else 0) + 1,
        recorded_at=now,
        cases=len(heads),
        rows=sum(row[3] for row in rows),
        root=merkle_root(heads).hex(),
        prev=last.hash.hex() if last else FIRST,
        public_key=keys.in_use.hex(),
        horizon=horizon,
        cluster=cluster,
    )
    body = encode(statement)
    text = "".join(f"{case_id} {seq} {digest.hex()}\n" for case_id, seq, digest in heads)
    return Checkpoint(statement.number, body, text, keys.signing.sign(message(body)))


async def _hold_against_outside(conn: AsyncConnection, last: Checkpoint | None, directory: Path) -> None:
    """Never sign on top of a past that is not the one kept outside."""
    kept = await _outside(outside.newest, directory)
    if kept is None:
        return
    same = last
    if last is not None and last.number > kept.number:
        found = await conn.execute(
            "SELECT number, body, '', signature FROM checkpoints WHERE number = %s", (kept.number,)
        )
        row = await found.fetchone()
        same = Checkpoint(*row) if row else None
    if same is None or same.number != kept.number or same.hash.hex() != kept.hash:
        raise CheckpointError(
            f"{directory} has a checkpoint {kept.number} that the database does not have or has otherwise. Run "
            "`counterflow audit verify`. If you put back a backup on purpose, keep that directory and give "
            "COUNTERFLOW_CHECKPOINT_DIR a new one"
        )


def _hold_against_keys(last: Checkpoint, said: Statement, keys: Keys) -> None:
    signer = bytes.fromhex(said.public_key)
    if signer not in keys.public:
        raise CheckpointError(
            f"checkpoint {last.number} was signed with another key ({said.public_key}): all workers of one database "
            "share one key; copy the directory keys/ of the other worker's home here"
        )
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(last.signature, message(last.body))
    except InvalidSignature:
        raise CheckpointError(
            f"the signature of checkpoint {last.number} does not fit its text: run `counterflow audit verify`"
        ) from None


@contextlib.asynccontextmanager
async def _alone(conn: AsyncConnection, *, wait: bool) -> AsyncIterator[bool]:
    """The lock of the whole act: the file is written after the commit, and before the next checkpoint."""
    if wait:
        await conn.execute("SELECT pg_advisory_lock(%s, 0)", (LOCK_CHECKPOINT,))
    else:
        found = await conn.execute("SELECT pg_try_advisory_lock(%s, 0)", (LOCK_CHECKPOINT,), prepare=True)
        row = await found.fetchone()
        if not (row and row[0]):
            yield False
            return
    try:
        yield True
    except msgspec.MsgspecError as error:
        raise CheckpointError(
            f"a checkpoint in the database cannot be read ({error}): run `counterflow audit verify`"
        ) from error
    finally:
        if not conn.closed:
            await conn.execute("SELECT pg_advisory_unlock(%s, 0)", (LOCK_CHECKPOINT,), prepare=True)


async def _outside(act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await asyncio.to_thread(act, *args, **kwargs)
    except (OSError, outside.Conflict) as error:
        raise CheckpointError(f"checkpoints cannot be kept outside the database: {error}") from error

"""References: how a case or a sale is found by the names that other systems gave it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from counterflow.store.rows import array, columns


@dataclass(frozen=True, slots=True)
class Target:
    """Where a reference leads. For a sale `target` is its sale_ref and `shard` is -1."""

    target: str
    kind: str  # case | sale
    shard: int
    root: str  # root sale; empty where the case knows none


async def add(conn: AsyncConnection, rows: Sequence[tuple[str, str, str]]) -> None:
    """(ref, target, kind); known ones stay."""
    await conn.execute(
        "INSERT INTO xref (ref, target, kind) SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) "
        "ON CONFLICT DO NOTHING",
        columns(rows),
    )


async def find(conn: AsyncConnection, refs: Iterable[str]) -> dict[str, list[Target]]:
    """The targets of each known reference: open cases first, the last opened first, then closed ones, then sales."""
    found = await conn.execute(
        """
        SELECT x.ref, x.target, x.kind, coalesce(c.shard, -1), coalesce(c.root_sale, s.root, '')
        FROM xref x LEFT JOIN cases c ON x.kind = 'case' AND c.case_id = x.target
                    LEFT JOIN sales s ON x.kind = 'sale' AND s.sale_ref = x.target
        WHERE x.ref = ANY(%s::text[])
        ORDER BY x.kind, c.closed_at IS NOT NULL, c.opened_at DESC, x.target
        """,
        (array(refs),),
        prepare=True,
    )
    result: dict[str, list[Target]] = {}
    for ref, target, kind, shard, root in await found.fetchall():
        result.setdefault(ref, []).append(Target(target, kind, shard, root))
    return result

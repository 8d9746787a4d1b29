"""The sales as the channels told them; the highest version of each counts."""

from collections.abc import Collection, Iterable

from psycopg import AsyncConnection

from counterflow.core.sale import Sale
from counterflow.store import xref
from counterflow.store.codec import decode, encode


async def keep(conn: AsyncConnection, sales: Iterable[Sale]) -> None:
    """Store them unless a newer version is known, with the references by which they are found."""
    newest: dict[str, Sale] = {}
    for sale in sales:
        if sale.sale_ref not in newest or sale.version >= newest[sale.sale_ref].version:
            newest[sale.sale_ref] = sale
    for sale in newest.values():
        await conn.execute(
            """
            INSERT INTO sales (sale_ref, version, root, body) VALUES (%s, %s, %s, %s)
            ON CONFLICT (sale_ref) DO UPDATE
            SET version = excluded.version, root = excluded.root, body = excluded.body
            WHERE sales.version <= excluded.version
            """,
            (sale.sale_ref, sale.version, sale.root, encode(sale)),
            prepare=True,
        )
    rows = {(ref, sale.sale_ref, "sale") for sale in newest.values() for ref in (*refs(sale), sale.email_ref) if ref}
    if rows:
        await xref.add(conn, sorted(rows))


def refs(sale: Sale) -> set[str]:
    """What leads facts to a sale: itself, its number, its payments, the serials that were sold; not its customer."""
    serials = {f"serial:{serial}" for line in sale.lines for serial in line.serials}
    payments = {
        f"{payment.connection or sale.connection}:payment:{payment.payment_ref}"
        for payment in sale.payments
        if payment.payment_ref
    }
    number = {f"order:{sale.order_number}"} if sale.order_number else set()
    return {sale.sale_ref} | serials | payments | number


async def load(conn: AsyncConnection, sale_refs: Iterable[str]) -> dict[str, Sale]:
    """sale_ref -> sale, of those that are known."""
    found = await conn.execute(
        "SELECT sale_ref, body FROM sales WHERE sale_ref = ANY(%s)", (list(sale_refs),), prepare=True
    )
    return {ref: decode(Sale, body) for ref, body in await found.fetchall()}


async def known(conn: AsyncConnection, sale_refs: Collection[str]) -> set[str]:
    """Those of which the sale is stored."""
    if not sale_refs:
        return set()
    found = await conn.execute("SELECT sale_ref FROM sales WHERE sale_ref = ANY(%s)", (list(sale_refs),), prepare=True)
    return {ref for (ref,) in await found.fetchall()}

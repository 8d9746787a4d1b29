"""Who may do what: every endpoint of the OpenAPI document with every role, and the cells that a key is kept in."""

from datetime import timedelta
from typing import Any

import pytest

from counterflow.api.access import ROLES
from counterflow.store import api_keys
from tests.api.world import PEPPER, World, a_sale

# The matrix as the people who answer for it read it. Every operation of the document is in it, once.
#                                                            reader agent warehouse finance integration admin
MATRIX = """
GET  /cases                                                  yes    yes   -         yes     yes         yes
POST /cases                                                  -      yes   -         -       yes         -
GET  /cases/find                                             yes    yes   -         yes     yes         yes
GET  /cases/{case_id}                                        yes    yes   -         yes     yes         yes
GET  /cases/{case_id}/timeline                               yes    yes   -         yes     yes         yes
GET  /cases/{case_id}/explain                                yes    yes   -         yes     yes         yes
GET  /cases/{case_id}/beliefs                                yes    yes   -         yes     yes         yes
POST /cases/{case_id}/cancel                                 -      yes   -         -       yes         -
POST /cases/{case_id}/notes                                  -      yes   yes       yes     yes         -
GET  /cases/{case_id}/lines                                  yes    yes   yes       yes     yes         yes
POST /cases/{case_id}/lines/authorisations                   -      yes   -         -       -           -
POST /receipts                                               -      -     yes       -       yes         -
GET  /cases/{case_id}/receipts                               yes    yes   yes       yes     yes         yes
POST /cases/{case_id}/missing                                -      yes   yes       -       -           -
POST /cases/{case_id}/payments                               -      yes   -         -       -           -
POST /inspections                                            -      -     yes       -       yes         -
GET  /cases/{case_id}/inspections                            yes    yes   yes       yes     yes         yes
POST /dispositions                                           -      -     yes       -       yes         -
GET  /cases/{case_id}/dispositions                           yes    yes   yes       yes     yes         yes
POST /cases/{case_id}/dispositions                           -      yes   yes       -       -           -
GET  /approvals                                              yes    yes   -         yes     yes         yes
POST /approvals/{intent_id}/grant                            -      -     -         yes     -           -
POST /approvals/{intent_id}/refuse                           -      -     -         yes     -           -
GET  /refunds                                                yes    yes   -         yes     yes         yes
GET  /exceptions                                             yes    yes   yes       yes     yes         yes
GET  /exceptions/{exception_id}                              yes    yes   yes       yes     yes         yes
POST /exceptions/{exception_id}/resolve                      -      yes   yes       yes     yes         -
POST /exceptions/{exception_id}/retry                        -      yes   yes       yes     yes         -
POST /exceptions/{exception_id}/discard                      -      yes   yes       yes     yes         -
POST /exceptions/{exception_id}/park                         -      yes   yes       yes     yes         -
GET  /connections                                            yes    yes   -         yes     yes         yes
GET  /policies                                               yes    yes   -         yes     yes         yes
GET  /policies/{version}                                     yes    yes   -         yes     yes         yes
POST /policies/check                                         yes    yes   -         yes     yes         yes
POST /policies/test                                          yes    yes   -         yes     yes         yes
POST /policies/explain                                       yes    yes   -         yes     yes         yes
GET  /metrics                                                -      -     -         -       yes         yes
"""
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/problems"), ("POST", "/webhooks/{connection}")}
IDS = {
    "{case_id}": "rc_" + "0" * 26,
    "{intent_id}": "ri_" + "0" * 26,
    "{exception_id}": "ex_" + "0" * 26,
    "{version}": "pv_" + "0" * 26,
}


def matrix() -> dict[tuple[str, str], set[str]]:
    rows = [line.split() for line in MATRIX.strip().splitlines()]
    return {
        (row[0], row[1]): {role for role, cell in zip(ROLES, row[2:], strict=True) if cell == "yes"} for row in rows
    }


def operations(world: World) -> set[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = world.app.openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def ask(world: World, method: str, path: str, headers: dict[str, str]) -> int:
    for name, value in IDS.items():
        path = path.replace(name, value)
    world.posts += 1
    sent = {**headers, "Idempotency-Key": f"m-{world.posts}"}
    if method == "POST":
        answer = await world.client.post(path, content=b"{}", headers={**sent, "Content-Type": "application/json"})
    else:
        answer = await world.client.get(path, headers=sent)
    return answer.status_code


async def test_every_operation_is_in_the_matrix(world: World) -> None:
    assert operations(world) == set(matrix()) | OPEN


@pytest.mark.parametrize("role", ROLES)
async def test_every_endpoint_with_every_role(world: World, role: str) -> None:
    headers = await world.bearer(role)
    for (method, path), allowed in matrix().items():
        status = await ask(world, method, path, headers)
        if role in allowed:
            assert status not in (401, 403, 500), (method, path, status)
        else:
            assert status == 403, (method, path, status)


async def test_no_endpoint_without_a_key(world: World) -> None:
    for method, path in matrix():
        for headers in (
            {},
            {"Authorization": "Basic dTpw"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer cf_x"},
        ):
            assert await ask(world, method, path, headers) == 401, (method, path)


async def test_a_key_is_useless_when_expired_revoked_or_changed(world: World) -> None:
    token = await world.key("reader", "short", expires_at=world.now + timedelta(hours=1))
    async with world.pool.connection() as conn:
        assert (await world.get("/cases", name="short")).status_code == 200
        for wrong in (token[:-1], token + "x", token.replace("cf_test", "cf_live"), token.upper(), "cf_test_\x00_x"):
            assert await api_keys.find(conn, PEPPER, wrong) is None
        assert await api_keys.find(conn, b"q" * 32, token) is None
        world.now += timedelta(hours=1)
        assert (await world.get("/cases", name="short")).status_code == 401
        await world.key("reader", "gone")
        assert await api_keys.revoke(conn, "gone", world.now)
        assert (await world.get("/cases", name="gone")).status_code == 401
        stored = await (await conn.execute("SELECT string_agg(k::text, ' ') FROM api_keys k")).fetchone()
    assert stored is not None and token not in stored[0] and token.split("_", 3)[3] not in stored[0]


async def test_last_use_is_written_once_a_minute(world: World) -> None:
    async def last() -> Any:
        async with world.pool.connection() as conn:
            return (await api_keys.page(conn))[0].last_used_at

    await world.get("/cases")
    first = await last()
    assert first == world.now
    world.now += timedelta(seconds=59)
    await world.get("/cases")
    assert await last() == first
    world.now += timedelta(seconds=1)
    await world.get("/cases")
    assert await last() == world.now


async def test_a_name_is_never_used_twice(world: World) -> None:
    await world.key("reader", "once")
    async with world.pool.connection() as conn:
        with pytest.raises(api_keys.KeyExists):
            await api_keys.issue(conn, PEPPER, name="once", role="admin", environment="test", now=world.now)


async def test_a_key_sees_only_its_channels(world: World) -> None:
    mine = await world.returned()
    theirs = await world.returned(a_sale(connection="shop-2"))
    await world.key("agent", "one-shop", channels=("shop",))
    seen = (await world.get("/cases", name="one-shop")).json()["items"]
    assert [row["case_id"] for row in seen] == [mine]
    assert (await world.get("/cases/find", name="one-shop", params={"q": "#5001"})).json()["items"] == seen
    for path in ("", "/timeline", "/lines", "/receipts"):
        assert (await world.get(f"/cases/{theirs}{path}", name="one-shop")).status_code == 404
    cancel = await world.post(f"/cases/{theirs}/cancel", {"reason": "not mine"}, name="one-shop")
    opened = await world.post(
        "/cases", {"sale_ref": "shop-2:order:5001", "lines": [{"line_ref": "L1", "quantity": 1}]}, name="one-shop"
    )
    assert (cancel.status_code, opened.status_code) == (404, 404)
    connections = (await world.get("/connections", name="one-shop")).json()["items"]
    assert [each["name"] for each in connections] == ["shop"]
    await world.key("warehouse", "one-dock", channels=("shop",))
    item = {"sku": "TEE", "quantity": 1}
    rma = (await world.get(f"/cases/{theirs}")).json()["rma_number"]
    for about in ({"case_id": theirs}, {"rma_number": rma}, {}):
        counted = await world.post("/receipts", {**about, "place": "wh-1", "items": [item]}, name="one-dock")
        assert counted.status_code == 404


async def test_a_key_of_another_environment_sees_nothing(world: World) -> None:
    case_id = await world.returned()
    await world.key("agent", "live-key", environment="production")
    assert (await world.key("agent", "live-key")).startswith("cf_live_")
    assert (await world.get("/cases", name="live-key")).json()["items"] == []
    assert (await world.get(f"/cases/{case_id}", name="live-key")).status_code == 404
    connections = (await world.get("/connections", name="live-key")).json()["items"]
    assert [each["name"] for each in connections] == ["live"]


async def test_a_key_serves_only_its_functions(world: World) -> None:
    await world.key("integration", "stock-only", functions=("stock",))
    assert (await world.get("/cases", name="stock-only")).status_code == 403
    assert (await world.get("/refunds", name="stock-only")).status_code == 403
    unknown = IDS["{case_id}"]
    assert (await world.get(f"/cases/{unknown}/lines", name="stock-only")).status_code == 404

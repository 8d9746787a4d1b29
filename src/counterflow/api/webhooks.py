"""The door for deliveries: raw body and headers go to intake, which knows the connection; this knows no provider."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from counterflow.api.problems import Problem, documented, not_found
from counterflow.api.route import The, read_body
from counterflow.intake.receive import TooLarge, UnknownConnection
from counterflow.sdk.connector import Delivery
from counterflow.sdk.outcomes import AuthFailed

router = APIRouter(tags=["webhooks"])


class Taken(BaseModel):
    """`malformed`: it is kept and a person looks at it; sending it again would not help."""

    delivery_id: str
    status: str


@router.post(
    "/webhooks/{connection}",
    status_code=202,
    responses=documented(401, 404, 413, 422, 500, 503),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}, "*/*": {"schema": {}}}}
    },
)
async def receive(
    request: Request, the: The, connection: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)]
) -> Taken:
    """Take one delivery: verified, kept raw, and answered after the commit. A repeat gets the same answer."""
    if connection not in the.accounts:
        raise not_found(f"There is no connection {connection}")
    body = await read_body(request, the.max_body_bytes)
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    try:
        receipt = await the.intake.receive(Delivery(connection, headers, body, the.clock()))
    except UnknownConnection:
        raise not_found(f"There is no connection {connection}") from None
    except TooLarge as error:
        raise Problem("too-large", str(error)) from None
    except AuthFailed as error:
        raise Problem("bad-signature", error.message, headers={"WWW-Authenticate": "Signature"}) from None
    return Taken(delivery_id=receipt.delivery_id, status=receipt.status)

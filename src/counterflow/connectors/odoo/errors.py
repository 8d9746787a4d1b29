"""Odoo's error classes in the eight words. Both APIs name the Python class; only JSON-2 also has a status for it."""

from counterflow.sdk.outcomes import (
    AuthFailed,
    ConnectorError,
    MissingRight,
    NotFound,
    Rejected,
    Transient,
    UnknownOutcome,
)

_STATUS = {"AccessDenied": 401, "AccessError": 403, "MissingError": 404, "LockError": 409}
_ABSENT = ("doesn't exist", "does not exist")  # how the older API says that there is no such model or method


def error_of(name: str, message: str, *, write: bool, status: int = 0) -> ConnectorError:
    """The word for an error. What Odoo answers as an error was rolled back; a Python error will never work.

    `status` 0: of JSON-RPC, which answers HTTP 200 whatever happened.
    """
    kind = name.rpartition(".")[2]
    status = status or _STATUS.get(kind, 0)
    if status == 401:
        return AuthFailed(f"{message}. The API key is wrong, revoked or expired: make a new one", code=kind)
    if status == 403:
        return MissingRight(f"{message}. Give the integration user the right, then resume the connection", code=kind)
    if kind == "MissingError":
        return NotFound(f"{message}. It was deleted in Odoo", code=kind)
    if status == 409 or kind == "SerializationFailure":
        return Transient(f"{message} (other writers hold it)", code=kind)  # rolled back, after Odoo's own five tries
    if kind == "OperationalError" and "database" in message and "does not exist" in message:
        return AuthFailed("Odoo does not serve this database: correct `database` of the connection")
    if name.startswith("psycopg2."):
        return UnknownOutcome(message, code=kind) if write else Transient(message, code=kind)
    if status == 404 or (not status and kind in ("UserError", "AttributeError") and message.endswith(_ABSENT)):
        return Rejected(f"{message}. Install the Odoo app that brings it", code=kind)
    return Rejected(message, code=kind)

"""What Odoo raises, and the JSON-2 status of each class (recorded: an error has the class, message, arguments)."""


class OdooError(Exception):
    """One failed call; its transaction is rolled back."""

    name = "odoo.exceptions.UserError"
    status = 422

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def arguments(self) -> list[object]:
        return [self.message]


class UserError(OdooError):
    """A business rule says no."""


class ValidationError(UserError):
    name = "odoo.exceptions.ValidationError"


class AccessError(UserError):
    name = "odoo.exceptions.AccessError"
    status = 403


class AccessDenied(OdooError):
    """A wrong key on JSON-RPC, where JSON-2 says Unauthorized; or one that is none of the user's."""

    name = "odoo.exceptions.AccessDenied"
    status = 403

    def __init__(self, message: str = "Access Denied") -> None:
        super().__init__(message)


class MissingError(UserError):
    name = "odoo.exceptions.MissingError"
    status = 404

    @classmethod
    def of(cls, model: str, id: int, uid: int) -> "MissingError":
        return cls(f"Record does not exist or has been deleted.\n(Record: {model}({id},), User: {uid})")


class RedirectWarning(OdooError):
    name = "odoo.exceptions.RedirectWarning"
    status = 500


class SerializationFailure(OdooError):
    """Odoo gave up after five tries of its own; the only 500 that is worth another attempt."""

    name = "psycopg2.errors.SerializationFailure"
    status = 500

    def __init__(self) -> None:
        super().__init__("could not serialize access due to concurrent update\n")


class PythonError(OdooError):
    """A programming error of the caller, answered as a 500: KeyError, ValueError, AttributeError, TypeError."""

    status = 500

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.name = f"builtins.{kind}"


class HttpError(OdooError):
    """What the web layer refuses before any model sees the call."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = f"werkzeug.exceptions.{kind}"

    @property
    def arguments(self) -> list[object]:
        return [self.message, self.status]

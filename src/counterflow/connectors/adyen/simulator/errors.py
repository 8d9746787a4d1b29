"""Errors in Adyen's words: {"status", "errorCode", "message", "errorType"}."""

from starlette.responses import JSONResponse, Response

_EDGE = {
    401: ("000", "HTTP Status Response - Unauthorized", "security"),
    429: ("000", "Too many requests", "validation"),
    500: ("000", "Internal server error", "internal"),
    503: ("000", "Service unavailable", "internal"),
}


class Refusal(Exception):
    """A request that is not taken."""

    def __init__(self, status: int, code: str, message: str, kind: str = "validation", transient: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.kind, self.transient = status, code, message, kind, transient

    def answer(self, headers: dict[str, str]) -> Response:
        body = {"status": self.status, "errorCode": self.code, "message": self.message, "errorType": self.kind}
        return JSONResponse(body, self.status, headers | ({"transient-error": "true"} if self.transient else {}))


def refuse(status: int) -> Response:
    """What Adyen's edge answers before any endpoint runs."""
    code, message, kind = _EDGE[status]
    headers = {"Retry-After": "1"} if status == 429 else {}
    return Refusal(status, code, message, kind).answer(headers)

"""Errors in Stripe's words: `{"error": {"type", "code", "message", "param", "doc_url"}}`."""

from typing import Any

from starlette.responses import JSONResponse, Response

_MESSAGES = {
    401: "Invalid API Key provided: sk_test_********",
    429: "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
    500: "An unexpected error occurred while processing your request.",
    503: "Stripe is temporarily unavailable.",
}


class StripeError(ValueError):
    """A request that Stripe refuses.

    `saved` says whether execution had begun: only then is the answer kept under the idempotency key, and replayed.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        saved: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.saved = status, saved
        error: dict[str, Any] = {"message": message, "type": type, **more}
        if code:
            error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
        if param:
            error["param"] = param
        self.body = {"error": error}


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> StripeError:
    """A request that fails validation: nothing ran, so nothing is kept under its key."""
    return StripeError(message, status=status, code=code, param=param, saved=False)


def missing(kind: str, id: str, *, param: str, status: int = 400) -> StripeError:
    """An object that does not exist: 404 where the path names it, 400 where a parameter does."""
    return invalid(f"No such {kind}: '{id}'", param=param, code="resource_missing", status=status)


def refuse(status: int) -> Response:
    """What Stripe's edge answers before any endpoint runs. It names no time to wait."""
    error = {"message": _MESSAGES[status], "type": "invalid_request_error" if status < 500 else "api_error"}
    headers = {"Request-Id": "req_edge"}
    if status == 429:
        error["code"] = "rate_limit"
        headers["Stripe-Rate-Limited-Reason"] = "global-rate"
    return JSONResponse({"error": error}, status, headers)

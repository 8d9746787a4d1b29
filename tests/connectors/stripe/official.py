"""Stripe's own Python library, asked by JSON lines. Run by the Python that has it: `official.py <api key>`.

["refunds.create", address, {params}, {options}]  ->  {"ok": object} or {"error": class, "code", "message", "status"}
"""

import json
import sys
from typing import Any

import stripe  # type: ignore[import-not-found,unused-ignore]


def call(client: Any, name: str, arguments: list[Any]) -> Any:
    if name == "construct_event":
        body, signature, secret = arguments
        return client.construct_event(body, signature, secret).to_dict()
    target = client.v1
    for part in name.split("."):
        target = getattr(target, part)
    found = target(*arguments)
    if name.endswith(".list"):
        return [each.to_dict() for each in found.auto_paging_iter()]
    return found.to_dict()


def main() -> None:
    for line in sys.stdin:
        name, address, *arguments = json.loads(line)
        client = stripe.StripeClient(sys.argv[1], base_addresses={"api": address}, max_network_retries=0)
        answer: dict[str, Any]
        try:
            answer = {"ok": call(client, name, arguments)}
        except stripe.StripeError as error:
            answer = {"error": type(error).__name__, "code": error.code, "message": str(error)}
            answer["status"] = getattr(error, "http_status", None)
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()

"""Adyen's own Python library, asked by JSON lines. Run by the Python that has it: `official.py <hmac key>`."""

import json
import sys

from Adyen.util import is_valid_hmac_notification  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    for line in sys.stdin:
        _, message = json.loads(line)
        print(json.dumps({"ok": is_valid_hmac_notification(message, sys.argv[1])}), flush=True)


if __name__ == "__main__":
    main()

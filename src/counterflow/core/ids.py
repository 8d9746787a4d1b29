"""Identifiers that come from causes: the same cause gives the same id on every machine and in every run."""

from functools import lru_cache
from hashlib import blake2b, sha256

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case: no i, l, o, u to misread


@lru_cache(maxsize=16_384)  # a case asks for the same ids with every fact
def make_id(prefix: str, *cause: str | int) -> str:
    """`prefix_` and 26 characters (130 bits) derived from the cause.

    The parts are joined by a unit separator, so ("a", "bc") and ("ab", "c") differ.
    """
    digest = blake2b("\x1f".join(map(str, cause)).encode(), digest_size=17).digest()
    number = int.from_bytes(digest, "big") >> 6
    chars = []
    for _ in range(26):
        chars.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(chars)}"


def case_id(cause: str) -> str:
    """`rc_`: a return case, from the reference that opened it (`shopify-de:return:gid...`)."""
    return make_id("rc", cause)


def fact_id(connection: str, kind: str, their_id: str, version: str | int = 0) -> str:
    """`fc_`: a fact, from who said it, what kind it is, which object of theirs and which version of it."""
    return make_id("fc", connection, kind, their_id, version)


def effect_id(case: str, kind: str, subject: str, attempt: int = 0) -> str:
    """`ef_`: an effect; also its idempotency key. `attempt` counts keys that a provider has burnt, not calls."""
    return make_id("ef", case, kind, subject, attempt)


def email_ref(address: str) -> str:
    """`email:` and the SHA-256 of the address: a customer is found by it, and no address is kept. Empty for none."""
    folded = address.strip().casefold()
    return f"email:{sha256(folded.encode()).hexdigest()}" if folded else ""

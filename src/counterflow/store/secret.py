"""The installation's secret: `<home>/keys/install.secret`, 32 bytes as hexadecimal.

API keys are hashed under it, and credentials that we renewed ourselves are sealed with a key derived from it.
"""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SecretError(Exception):
    """The secret cannot be used; the message names the next move."""


def load_or_create(home: Path) -> bytes:
    """The secret, made at the first call. Any number of processes may call this at once. Raises SecretError."""
    path = home / "keys" / "install.secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f"install.{os.getpid()}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(new, path)  # fails if another process was first: then its secret counts
        except FileExistsError:
            pass
        finally:
            new.unlink()
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SecretError(f"{path} may be read by others: chmod 600 it, and make new API keys if somebody has")
    try:
        found = bytes.fromhex(path.read_text().strip())
    except ValueError:
        found = b""
    if len(found) != 32:
        raise SecretError(f"{path} is not 64 hexadecimal digits: put it back from your backup, or make new API keys")
    return found


def seal(secret: bytes, value: str, about: str) -> bytes:
    """The value, readable only with the secret and for the same `about` (AES-256-GCM)."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_derived(secret, "seal")).encrypt(nonce, value.encode(), about.encode())


def unseal(secret: bytes, sealed: bytes, about: str) -> str:
    """What was sealed. Raises SecretError when it was sealed under another secret, or is about something else."""
    try:
        opened = AESGCM(_derived(secret, "seal")).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
    except InvalidTag:
        raise SecretError(
            f"the credential of {about} was sealed under another install.secret: put that back from your backup, or "
            "make a new credential on the other side and configure it"
        ) from None
    return opened.decode()


def digest(secret: bytes, value: str) -> str:
    """Tells whether a value is the same as before, and nothing else about it."""
    return hmac.new(_derived(secret, "digest"), value.encode(), hashlib.sha256).hexdigest()


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.new(secret, f"counterflow {purpose}".encode(), hashlib.sha256).digest()

"""The installation's secret, under which API keys are hashed: `<home>/keys/install.secret`, 32 bytes as hexadecimal."""

import os
import secrets
import stat
from pathlib import Path


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

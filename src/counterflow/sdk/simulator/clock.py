"""A clock that runs with real time and can be jumped forward, by every process that shares its file."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path


class Clock:
    """Real time plus an offset in seconds.

    With a path the offset lives in that file (a decimal number; absent = 0) and is read again whenever the file
    changes, so several processes share one clock. Jumps come from one place at a time: `advance` is atomic for readers,
    and two processes that advance in the same moment may lose one of the jumps.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._offset = 0.0

    def now(self) -> datetime:
        """The present instant of the simulated world, aware, UTC."""
        return datetime.fromtimestamp(time.time() + self.offset_seconds(), UTC)

    def offset_seconds(self) -> float:
        """How far ahead of real time this world is."""
        if self._path is not None:
            try:
                stat = os.stat(self._path)
            except FileNotFoundError:
                self._seen, self._offset = None, 0.0
            else:
                seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if seen != self._seen:
                    self._offset = float(self._path.read_text() or 0)
                    self._seen = seen
        return self._offset

    def advance(self, seconds: float) -> None:
        """Jump forward. Raises ValueError for a jump back: a world that runs backwards proves nothing."""
        if seconds < 0:
            raise ValueError("a clock only jumps forward; start a new world to go back")
        offset = self.offset_seconds() + seconds
        if self._path is None:
            self._offset = offset
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        fresh.write_text(f"{offset!r}\n")
        os.replace(fresh, self._path)

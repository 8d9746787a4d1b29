"""Feeds whose rows come in files: the same rows whatever the file's form, and nothing from half a file."""

import csv
import io
from collections.abc import Sequence

from counterflow.core.facts import Fact
from counterflow.sdk.outcomes import ConnectorError, Malformed
from counterflow.sdk.testing.check import Skipped, check, files
from counterflow.sdk.testing.harness import File, Harness
from counterflow.sdk.testing.reads import sound, told_as

BOM = b"\xef\xbb\xbf"


async def _file(harness: Harness, feed: str) -> tuple[File, Sequence[Fact]]:
    """The file and what it tells as it came."""
    file = await harness.file(feed)
    assert file is not None, f"the manifest says that {feed} comes in files, and Harness.file has none"
    told = await harness.connector.fetch(feed, file.name)
    sound(harness, told)
    assert len(told) > 1, f"{file.name} tells {len(told)} facts: the kit needs a file with at least two"
    return file, told


async def _same(harness: Harness, feed: str, file: File, told: Sequence[Fact], body: bytes, what: str) -> None:
    await harness.replace_file(file.name, body)
    again = await harness.connect().fetch(feed, file.name)
    assert told_as(told) == told_as(again), f"{what} tells something else"


@check(27, files)
async def columns_in_any_order(harness: Harness, feed: str) -> None:
    """Columns in another order, and one that nobody knows, change nothing."""
    file, told = await _file(harness, feed)
    rows = list(csv.reader(io.StringIO(file.body.decode()), delimiter=file.delimiter))
    turned = io.StringIO()
    writer = csv.writer(turned, delimiter=file.delimiter, lineterminator="\n")
    writer.writerows([*reversed(row), "x" if number else "New column"] for number, row in enumerate(rows) if row)
    await _same(harness, feed, file, told, turned.getvalue().encode(), "a file with its columns turned round")


@check(27, files)
async def marks_and_line_ends(harness: Harness, feed: str) -> None:
    """A byte order mark, other line ends and empty lines at the end change nothing."""
    file, told = await _file(harness, feed)
    lines = file.body.removeprefix(BOM).decode().splitlines()
    for body in (BOM + file.body.removeprefix(BOM), "\r\n".join(lines).encode(), "\n".join([*lines, "", ""]).encode()):
        await _same(harness, feed, file, told, body, "a file with another mark or line end")


@check(27, files)
async def headers_of_another_language(harness: Harness, feed: str) -> None:
    """The same file with its headers in another language tells the same."""
    file, told = await _file(harness, feed)
    if file.localised is None:
        raise Skipped("their files have one language")
    await _same(harness, feed, file, told, file.localised, "a file in another language")


@check(27, files)
async def half_a_file(harness: Harness, feed: str) -> None:
    """A file that ends in the middle of a row is Malformed: no row of it is taken for the whole."""
    file, _ = await _file(harness, feed)
    whole = file.body.rstrip()
    last = len(whole) - len(whole.splitlines()[-1])
    for end in (last + (len(whole) - last) // 3, last + 2 * (len(whole) - last) // 3):
        await harness.replace_file(file.name, whole[:end])
        await _malformed(harness, feed, file.name, f"a file cut at byte {end} of {len(whole)}")


@check(27, files)
async def no_file_at_all(harness: Harness, feed: str) -> None:
    """An empty file, one without a needed column and one that is no text are Malformed, never "nothing happened"."""
    file, _ = await _file(harness, feed)
    bare = b"\n".join(line.split(file.delimiter.encode())[0] for line in file.body.splitlines())
    for body in (b"", bare, b"\xff\xfe\x00<html>", b"<html>Sign in</html>"):
        await harness.replace_file(file.name, body)
        await _malformed(harness, feed, file.name, f"a file that begins with {body[:20]!r}")


@check(27, files)
async def a_file_twice(harness: Harness, feed: str) -> None:
    """The same file read again tells the same facts with the same ids."""
    file, told = await _file(harness, feed)
    await _same(harness, feed, file, told, file.body, "the same file")


@check(27, files)
async def a_corrected_file(harness: Harness, feed: str) -> None:
    """A corrected file tells its corrected row anew, and the others as they were."""
    file, told = await _file(harness, feed)
    if file.corrected is None:
        raise Skipped("their files are never corrected")
    await harness.replace_file(file.name, file.corrected)
    again = await harness.connect().fetch(feed, file.name)
    assert told_as(told) != told_as(again), "the correction is not told"
    bodies = {fact.fact_id: fact.body for fact in told}
    wrong = [fact.fact_id for fact in again if fact.fact_id in bodies and bodies[fact.fact_id] != fact.body]
    assert not wrong, f"{', '.join(wrong)} says something else under the same id: it would be dropped as a repeat"


async def _malformed(harness: Harness, feed: str, name: str, what: str) -> None:
    try:
        told = await harness.connect().fetch(feed, name)
    except Malformed:
        return
    except ConnectorError as error:
        raise AssertionError(f"{what} gave {error.word}: {error}") from None
    raise AssertionError(f"{what} was taken, and told {len(told)} facts")

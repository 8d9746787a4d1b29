"""Who owns the database can switch off its triggers; what is changed then is found, by us and by an outsider."""

import asyncio
import importlib.util
import json
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from counterflow.store import audit, checkpoints, outside
from counterflow.store.audit_export import export
from counterflow.store.keys import Keys, load_or_create, public_text, rotate
from counterflow.store.pool import connect
from counterflow.store.shards import LOCK_CHECKPOINT
from tests.engine.toy import START, a_world, goodwill, request

VERIFIER = Path(__file__).parents[2] / "tools" / "verify_audit.py"
MINUTE = timedelta(minutes=1)


@dataclass
class Scene:
    """Three cases under two checkpoints, and rows of one of them after both."""

    url: str
    home: Path
    keys: Keys

    @property
    def outside(self) -> Path:
        return self.home / "checkpoints"

    def sql(self, statement, *values):
        """As the owner of the tables, past their triggers."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")
            found = conn.execute(statement, values or None)
            return found.fetchall() if found.description else []

    async def report(self, directory: Path | None = None, keys=None):
        async with await connect(self.url) as conn:
            return await audit.verify(conn, directory or self.outside, keys or self.keys.public)

    async def take(self, now, keys: Keys | None = None, directory: Path | None = None):
        async with await connect(self.url) as conn:
            return await checkpoints.take_checkpoint(conn, keys or self.keys, now, directory or self.outside)

    async def export(self, **wanted):
        name = self.home / f"export{len(list(self.home.glob('export*')))}"
        async with await connect(self.url) as conn:
            await export(conn, name, self.keys.public, **wanted)
        return name

    def outsider(self, source, *, keys=None, copies=True):
        """The small verifier in a process of its own, that cannot import our code: (exit code, what it says)."""
        ours = {"counterflow": None}
        code = f"import sys, runpy; sys.modules.update({ours!r}); sys.argv[0] = {str(VERIFIER)!r}; "
        code += f"runpy.run_path({str(VERIFIER)!r}, run_name='__main__')"
        (self.home / "trusted.pub").write_text(public_text(keys or self.keys.public))
        told = ["--keys", str(self.home / "trusted.pub"), *(("--outside", str(self.outside)) if copies else ())]
        done = subprocess.run(
            [sys.executable, "-c", code, str(source), *told], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


async def a_scene(url: str, home: Path) -> Scene:
    scene = Scene(url, home, load_or_create(home))
    async with a_world(url) as world:
        for name in ("A", "B", "C"):
            await world.tell(request(name))
        await world.settle()
        await scene.take(START)
        await world.tell(goodwill("A", 1), goodwill("B", 1))
        await world.settle()
        await scene.take(START + MINUTE)
        await world.tell(goodwill("A", 2))
        await world.settle()
    return scene


@pytest.fixture
async def scene(fresh_database, tmp_path):
    return await a_scene(fresh_database, tmp_path)


def case_of(scene, name):
    ((case_id,),) = scene.sql("SELECT target FROM xref WHERE ref = %s", f"shop:return:{name}")
    return case_id


# ---- what holds ------------------------------------------------------------------------------------------------------


async def test_a_log_that_nobody_touched_holds_for_both(scene):
    report = await scene.report()
    assert report.findings == []
    assert (report.checkpoints, report.proven_to, report.proven_at) == (2, 2, START + MINUTE)
    (row,) = scene.sql("SELECT count(*), count(DISTINCT case_id) FROM log")
    assert (report.rows, report.cases) == row == (12, 3)
    assert report.after == [audit.After(case_of(scene, "A"), 5, 6)]
    assert report.rows_after == 2
    for source in (scene.url, await scene.export()):
        code, said = scene.outsider(source)
        assert (code, said.count("FOUND")) == (0, 0), said
        assert "12 rows, 2 checkpoints, 0 findings" in said and "2 rows came after it" in said


async def test_a_checkpoint_reads_only_what_changed(scene):
    first, second = scene.sql("SELECT body::jsonb, heads FROM checkpoints ORDER BY number")
    assert (first[0]["cases"], first[0]["rows"]) == (3, 6)
    assert (second[0]["cases"], second[0]["rows"]) == (2, 2 + 2)
    assert case_of(scene, "C") not in second[1]
    assert await scene.take(START + 2 * MINUTE) is not None
    assert await scene.take(START + 3 * MINUTE) is None, "nothing was written since"
    assert (await scene.report()).rows_after == 0


async def test_a_row_whose_transaction_ends_late_is_in_the_next_checkpoint(scene):
    """Its number is below that of rows which are covered already; neither numbers nor times may decide."""
    row = "INSERT INTO log (case_id, seq, body, prev_hash, hash, recorded_at) VALUES ('rc_late', 1, 'x', '', '', %s)"
    with psycopg.connect(scene.url) as slow:
        slow.execute(row, (START,))
        scene.sql(row.replace("rc_late", "rc_early"), START)
        assert await scene.take(START + 2 * MINUTE) is not None, "the rows from before both"
        slow.commit()
    assert await scene.take(START + 3 * MINUTE) is not None
    named = " ".join(heads for (heads,) in scene.sql("SELECT heads FROM checkpoints"))
    assert named.count("rc_late") == named.count("rc_early") == 1


async def test_many_changed_cases_make_several_checkpoints(scene, monkeypatch):
    scene.sql("DELETE FROM checkpoints")
    monkeypatch.setattr(checkpoints, "HEADS_MAX", 2)
    new = scene.home / "new"
    taken = await scene.take(START, directory=new)
    assert taken and (taken.number, taken.statement.cases) == (2, 1)
    ((cluster, horizon),) = scene.sql(
        "SELECT body::jsonb->>'cluster', body::jsonb->>'horizon' FROM checkpoints LIMIT 1"
    )
    assert (cluster, horizon) == ("", "0"), "what ends here is started again from the beginning"
    report = await scene.report(new)
    assert (report.findings, report.proven_to, report.rows_after) == ([], 2, 0)
    assert await scene.take(START + MINUTE, directory=new) is None


async def test_it_is_due_after_a_minute_or_ten_thousand_rows_and_not_when_nothing_happened(scene, monkeypatch):
    async with await connect(scene.url) as conn:
        assert not await checkpoints.checkpoint_due(conn, START + MINUTE * 1.9)
        assert await checkpoints.checkpoint_due(conn, START + MINUTE * 2)
        monkeypatch.setattr(checkpoints, "EVERY_ROWS", 2)
        taken = await checkpoints.checkpoint_if_due(conn, scene.keys, START + MINUTE, scene.outside)
        assert taken and taken.number == 3
        assert not await checkpoints.checkpoint_due(conn, START + MINUTE * 9)
        assert await checkpoints.checkpoint_if_due(conn, scene.keys, START + MINUTE * 9, scene.outside) is None


async def test_only_one_worker_takes_it(scene):
    async with await connect(scene.url) as one, await connect(scene.url) as other:
        await one.execute("SELECT pg_advisory_lock(%s, 0)", (LOCK_CHECKPOINT,))
        later = START + 9 * MINUTE
        assert await checkpoints.checkpoint_if_due(other, scene.keys, later, scene.outside) is None
        await one.execute("SELECT pg_advisory_unlock(%s, 0)", (LOCK_CHECKPOINT,))
        assert await checkpoints.checkpoint_if_due(other, scene.keys, later, scene.outside) is not None


async def test_another_server_counts_its_transactions_anew_and_everything_is_covered_again(scene):
    """A dump put back elsewhere: the old numbers mean nothing there."""
    scene.sql('UPDATE checkpoints SET body = replace(body, \'"cluster":"\', \'"cluster":"9\') WHERE number = 2')
    (row,) = scene.sql("SELECT number, body, heads FROM checkpoints WHERE number = 2")
    signature = scene.keys.signing.sign(checkpoints.message(row[1]))
    scene.sql("UPDATE checkpoints SET signature = %s WHERE number = 2", signature)
    taken = await scene.take(START + 2 * MINUTE, directory=scene.home / "elsewhere")
    assert taken and (taken.statement.cases, taken.statement.rows) == (3, 12)
    assert (await scene.report(scene.home / "elsewhere")).findings == []


async def test_files_that_could_not_be_written_are_written_later(scene):
    new = scene.home / "mounted later"
    new.write_text("in the way")
    with pytest.raises(checkpoints.CheckpointError, match="cannot be kept outside"):
        await scene.take(START + 2 * MINUTE, directory=new)
    new.unlink()
    async with await connect(scene.url) as conn:
        await checkpoints.checkpoint_if_due(conn, scene.keys, START + 2 * MINUTE, new)
    assert (await scene.report(new)).findings == []
    assert [line.number for line in outside.index(new)] == [1, 2, 3]


async def test_a_line_of_the_index_that_was_half_written_is_written_again(scene):
    index = scene.outside / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-7])
    async with await connect(scene.url) as conn:
        assert await checkpoints.publish(conn, scene.outside) == 1
    assert (await scene.report()).findings == []


async def test_the_merkle_tree_keeps_leaves_and_nodes_apart():
    heads = [(f"rc_{n}", n, bytes([n]) * 32) for n in range(1, 6)]
    leaf = [sha256(b"\0" + c.encode() + b"\0" + s.to_bytes(8, "big") + h).digest() for c, s, h in heads]
    node = lambda left, right: sha256(b"\1" + left + right).digest()  # noqa: E731
    assert checkpoints.merkle_root(heads[:1]) == leaf[0]
    expected = node(node(node(leaf[0], leaf[1]), node(leaf[2], leaf[3])), leaf[4])
    assert checkpoints.merkle_root(heads) == expected
    assert checkpoints.merkle_root([*heads, heads[-1]]) != expected


# ---- what was tampered with ------------------------------------------------------------------------------------------


def chained_again(scene: Scene, case_id: str, change) -> None:
    """Rewrite history of a case so that every hash fits, and the row of the case with it."""
    before = bytes(32)
    for seq, body in scene.sql("SELECT seq, body FROM log WHERE case_id = %s ORDER BY seq", case_id):
        changed = change(seq, body)
        digest = sha256(before + changed.encode()).digest()
        scene.sql(
            "UPDATE log SET body = %s, prev_hash = %s, hash = %s WHERE case_id = %s AND seq = %s",
            *(changed, before, digest, case_id, seq),
        )
        before = digest
    scene.sql("UPDATE cases SET head_hash = %s WHERE case_id = %s", before, case_id)


def cut(scene: Scene, case_id: str, after: int) -> None:
    """Take the last rows of a case away, and let the row of the case agree."""
    scene.sql("DELETE FROM log WHERE case_id = %s AND seq > %s", case_id, after)
    scene.sql(
        "UPDATE cases c SET version = %s, head_hash = l.hash FROM log l "
        "WHERE c.case_id = %s AND l.case_id = c.case_id AND l.seq = %s",
        *(after, case_id, after),
    )


def swap(scene: Scene, case_id: str) -> None:
    for old, new in ((1, -1), (2, 1), (-1, 2)):
        scene.sql("UPDATE log SET seq = %s WHERE case_id = %s AND seq = %s", new, case_id, old)


def insert(scene: Scene, case_id: str) -> None:
    """Put a row between the first and the second, and count the others up."""
    scene.sql("UPDATE log SET seq = -seq - 1 WHERE case_id = %s AND seq >= 2", case_id)
    scene.sql("UPDATE log SET seq = -seq WHERE case_id = %s AND seq < 0", case_id)
    ((body, before),) = scene.sql("SELECT body, hash FROM log WHERE case_id = %s AND seq = 1", case_id)
    body = body.replace('"seq":1,', '"seq":2,')
    scene.sql(
        "INSERT INTO log (case_id, seq, body, prev_hash, hash, recorded_at) VALUES (%s, 2, %s, %s, %s, %s)",
        *(case_id, body, before, sha256(before + body.encode()).digest(), START),
    )


def unlink(scene: Scene, case_id: str) -> None:
    """Chain the last row to nothing, with a hash that fits, and let the row of the case agree."""
    ((body,),) = scene.sql("SELECT body FROM log WHERE case_id = %s AND seq = 6", case_id)
    before, digest = bytes(32), sha256(bytes(32) + body.encode()).digest()
    scene.sql("UPDATE log SET prev_hash = %s, hash = %s WHERE case_id = %s AND seq = 6", before, digest, case_id)
    scene.sql("UPDATE cases SET head_hash = %s WHERE case_id = %s", digest, case_id)


A_BIT = "UPDATE log SET body = replace(body, '100', '101') WHERE case_id = %s AND seq = 3"
ONE_LESS = lambda seq, body: body.replace('"amount_minor":100', '"amount_minor":1') if seq == 3 else body  # noqa: E731

# what was done, to which case, what finds it, at which row, up to which checkpoint everything still holds
TAMPERINGS = {
    "a changed bit": (lambda s, c: s.sql(A_BIT, c), "A", "row_changed", 3, 1),
    "a changed hash": (
        lambda s, c: s.sql("UPDATE log SET hash = %s WHERE case_id = %s AND seq = 2", bytes(32), c),
        *("A", "row_changed", 2, 0),
    ),
    "another time": (
        lambda s, c: s.sql("UPDATE log SET recorded_at = recorded_at + interval '1 day' WHERE case_id = %s", c),
        *("C", "row_misplaced", 1, 0),
    ),
    "a deleted row": (
        lambda s, c: s.sql("DELETE FROM log WHERE case_id = %s AND seq = 3", c),
        "A",
        "row_missing",
        4,
        1,
    ),
    "a deleted first row": (
        lambda s, c: s.sql("DELETE FROM log WHERE case_id = %s AND seq = 1", c),
        *("A", "row_missing", 2, 0),
    ),
    "an inserted row": (insert, "A", "row_misplaced", 3, 0),
    "two rows in another order": (swap, "A", "link_broken", 1, 0),
    "a row that follows nothing": (unlink, "A", "link_broken", 6, 2),
    "a cut tail": (lambda s, c: cut(s, c, 3), "B", "tail_cut", 4, 1),
    "a cut tail that no checkpoint covers, the case left alone": (
        lambda s, c: s.sql("DELETE FROM log WHERE case_id = %s AND seq = 6", c),
        *("A", "case_differs", 5, 2),
    ),
    "a removed case": (
        lambda s, c: (s.sql("DELETE FROM log WHERE case_id = %s", c), s.sql("DELETE FROM cases WHERE case_id = %s", c)),
        *("C", "case_removed", 0, 0),
    ),
    "history rewritten with hashes that fit": (
        lambda s, c: chained_again(s, c, ONE_LESS),
        *("A", "history_rewritten", 4, 1),
    ),
    "a row of another case": (
        lambda s, c: s.sql(
            "UPDATE log l SET body = o.body, hash = o.hash, prev_hash = o.prev_hash FROM log o "
            "WHERE l.case_id = %s AND o.case_id <> l.case_id AND l.seq = 1 AND o.seq = 1",
            c,
        ),
        *("B", "row_misplaced", 1, 0),
    ),
}


@pytest.mark.parametrize("done", TAMPERINGS)
async def test_both_find_it_and_name_the_row(scene, done):
    tamper, name, what, seq, proven_to = TAMPERINGS[done]
    case_id = case_of(scene, name)
    tamper(scene, case_id)
    report = await scene.report()
    found = [finding for finding in report.findings if finding.what == what]
    assert (case_id, seq) in [(finding.case_id, finding.seq) for finding in found], report.findings
    assert all(finding.next_move and case_id in finding.message for finding in found)
    assert report.proven_to == proven_to
    if what != "case_differs":  # the outsider has the log and its checkpoints, and not our cases
        for source in (scene.url, await scene.export()):
            code, said = scene.outsider(source)
            assert code == 1 and f"case {case_id} row {seq or ''}" in said, said


CHECKPOINTS = {
    "the last one removed": ("DELETE FROM checkpoints WHERE number = 2", "checkpoint_missing", 2),
    "the first one removed": ("DELETE FROM checkpoints WHERE number = 1", "checkpoint_missing", 1),
    "its text": ("UPDATE checkpoints SET body = replace(body, ':2,', ':3,') WHERE number = 2", "checkpoint_altered", 2),
    "its heads": (
        "UPDATE checkpoints SET heads = replace(heads, ' 4 ', ' 3 ') WHERE number = 2",
        "checkpoint_altered",
        2,
    ),
    "its signature": ("UPDATE checkpoints SET signature = sha512('x') WHERE number = 2", "checkpoint_altered", 2),
    "no text at all": ("UPDATE checkpoints SET body = 'x' WHERE number = 1", "checkpoint_altered", 1),
}


@pytest.mark.parametrize("done", CHECKPOINTS)
async def test_a_removed_or_altered_checkpoint_is_found_by_both(scene, done):
    statement, what, number = CHECKPOINTS[done]
    scene.sql(statement)
    report = await scene.report()
    assert (what, number) in [(finding.what, finding.checkpoint) for finding in report.findings]
    assert report.proven_to == 2, "the copies outside still prove the rows"
    for source in (scene.url, await scene.export()):
        code, said = scene.outsider(source)
        assert code == 1 and f"FOUND checkpoint {number}" in said, said
    if done != "the last one removed":  # which without a copy outside looks as if it had not been taken yet
        code, said = scene.outsider(scene.url, copies=False)
        assert code == 1 and f"FOUND checkpoint {number}" in said, said


async def test_another_time_of_a_checkpoint_is_found(scene):
    scene.sql("UPDATE checkpoints SET recorded_at = recorded_at + interval '1 hour' WHERE number = 1")
    assert [(f.what, f.checkpoint) for f in (await scene.report()).findings] == [("checkpoint_altered", 1)]


async def test_a_checkpoint_that_follows_another_past_is_found_by_both_without_a_copy(scene):
    """Signed with the right key: only the link shows that the one before was replaced."""
    ((body,),) = scene.sql("SELECT body FROM checkpoints WHERE number = 2")
    said = json.loads(body)
    body = body.replace(said["prev"], "ab" * 32)
    signature = scene.keys.signing.sign(checkpoints.message(body))
    scene.sql("UPDATE checkpoints SET body = %s, signature = %s WHERE number = 2", body, signature)
    report = await scene.report(scene.home / "none")
    assert ("checkpoint_unlinked", 2) in [(f.what, f.checkpoint) for f in report.findings]
    assert report.proven_to == 1
    code, told = scene.outsider(scene.url, copies=False)
    assert code == 1 and "checkpoint 2: does not follow the one before" in told


async def test_only_the_copy_outside_shows_what_was_rewritten_with_the_stolen_key(scene):
    case_id = case_of(scene, "A")
    chained_again(scene, case_id, ONE_LESS)
    scene.sql("DELETE FROM checkpoints")
    await scene.take(START, directory=scene.home / "forged")
    assert (await scene.report(scene.home / "forged")).findings == [], "by itself the forgery is perfect"
    report = await scene.report()
    assert {"checkpoint_altered", "checkpoint_missing", "history_rewritten"} <= {f.what for f in report.findings}
    assert (case_id, 4) in [(f.case_id, f.seq) for f in report.findings]
    code, said = scene.outsider(scene.url)
    assert code == 1 and "checkpoint 1: differs from the copy" in said and "checkpoint 2: removed" in said
    with pytest.raises(checkpoints.CheckpointError, match="audit verify"):
        await scene.take(START + 9 * MINUTE)


@pytest.mark.parametrize(
    ("name", "what"),
    [("2026-03-01/0000000001.json", "copy_missing"), ("index.jsonl", "copy_altered")],
)
async def test_a_copy_that_was_removed_or_altered_is_found(scene, name, what):
    path = scene.outside / name
    if what == "copy_missing":
        path.unlink()
    else:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[0]["hash"] = "00" * 32
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(f.what, f.checkpoint) for f in (await scene.report()).findings] == [(what, 1)]


async def test_a_file_outside_that_was_altered_is_found_by_both(scene):
    (path,) = scene.outside.glob("*/0000000002.json")
    path.chmod(0o644)
    path.write_text(path.read_text().replace(case_of(scene, "A"), "rc_other"))
    report = await scene.report()
    assert {"checkpoint_altered", "copy_altered"} == {f.what for f in report.findings}
    assert report.proven_to == 2, "the database's own is signed"
    code, said = scene.outsider(scene.url)
    assert code == 1 and "checkpoint 2: differs from the copy" in said


async def test_a_file_with_an_absurd_number_does_no_harm(scene):
    planted = scene.outside / "2026-03-01" / "99999999999999.json"
    planted.write_text("{}")
    report = await scene.report()
    assert {f.what for f in report.findings} == {"checkpoint_missing", "copy_altered"}
    assert report.proven_to == 2


# ---- keys ------------------------------------------------------------------------------------------------------------


async def test_a_replaced_key_signs_nothing_more_and_its_checkpoints_stay_good(scene):
    old, scene.keys = scene.keys, rotate(scene.home)
    assert scene.keys.public[:-1] == old.public
    await scene.take(START + 2 * MINUTE)
    with pytest.raises(checkpoints.CheckpointError, match="signed with another key"):
        await scene.take(START + 3 * MINUTE, keys=old)
    assert (await scene.report()).findings == []
    assert scene.outsider(scene.url)[0] == 0
    forged = await scene.report(keys=(scene.keys.public[1], scene.keys.public[0]))
    assert [(f.what, f.checkpoint) for f in forged.findings] == [("checkpoint_forged", 3)]
    assert "after its replacement" in forged.findings[0].message
    code, said = scene.outsider(scene.url, keys=scene.keys.public[::-1])
    assert code == 1 and "FOUND checkpoint 3: signed with a key after its replacement" in said


async def test_a_checkpoint_of_somebody_elses_key_is_a_forgery(scene):
    stranger = load_or_create(scene.home / "stranger")
    report = await scene.report(keys=stranger.public)
    assert report.proven_to == 0
    assert {f.what for f in report.findings} == {"checkpoint_forged"}
    with pytest.raises(checkpoints.CheckpointError, match="share one key"):
        await scene.take(START + 2 * MINUTE, keys=stranger)


# ---- exports ---------------------------------------------------------------------------------------------------------


async def test_an_export_of_one_case_or_a_period_proves_those_cases(scene):
    case_id = case_of(scene, "B")
    one = await scene.export(case_id=case_id)
    assert {json.loads(line)["case"] for line in (one / "log.jsonl").open()} == {case_id}
    assert scene.outsider(one)[0] == 0
    nothing = await scene.export(since=START + timedelta(days=1))
    assert (nothing / "log.jsonl").read_text() == ""
    everything = await scene.export(since=START, until=START + timedelta(days=1))
    assert len((everything / "log.jsonl").read_text().splitlines()) == 12
    cut(scene, case_id, 3)
    code, said = scene.outsider(await scene.export(case_id=case_id))
    assert code == 1 and f"case {case_id} row 4: is not there, but checkpoint 2 signed it" in said
    with pytest.raises(FileExistsError):
        async with await connect(scene.url) as conn:
            await export(conn, one, scene.keys.public)


async def test_what_cannot_be_read_is_not_called_good(scene):
    assert scene.outsider(scene.home / "nowhere")[0] == 2
    name = await scene.export()
    (name / "log.jsonl").write_bytes(b"\xff" + (name / "log.jsonl").read_bytes())
    assert scene.outsider(name)[0] == 2


# ---- any byte --------------------------------------------------------------------------------------------------------


@pytest.fixture
def still(fresh_database, tmp_path):
    """The scene for a test that runs its own loop."""
    return asyncio.run(a_scene(fresh_database, tmp_path))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_any_flipped_bit_of_a_body_or_a_hash_is_found_and_its_row_is_named(still, data):
    rows = still.sql("SELECT case_id, seq, body, prev_hash, hash FROM log ORDER BY case_id, seq")
    case_id, seq, *values = data.draw(st.sampled_from(rows))
    column = data.draw(st.integers(0, 2))
    old = values[column].encode() if column == 0 else values[column]
    at, bit = data.draw(st.integers(0, len(old) - 1)), data.draw(st.integers(0, 7))
    new = old[:at] + bytes([old[at] ^ 1 << bit]) + old[at + 1 :]
    name = ("body", "prev_hash", "hash")[column]
    value = new
    if column == 0:
        assume(b"\0" not in new and new.isascii())  # Postgres takes nothing else into a text of ours
        value = new.decode()
    write = f"UPDATE log SET {name} = %s WHERE case_id = %s AND seq = %s"
    still.sql(write, value, case_id, seq)
    try:
        report = asyncio.run(still.report())
        assert ("row_changed", case_id, seq) in [(f.what, f.case_id, f.seq) for f in report.findings]
        assert f"case {case_id} row {seq}: the hash does not fit" in in_process(still)
    finally:
        still.sql(write, values[column], case_id, seq)


def in_process(scene: Scene) -> str:
    """What the outsider's verifier says of the database, loaded afresh: a process each would take minutes."""
    spec = importlib.util.spec_from_file_location("verify_audit", VERIFIER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said, argv = StringIO(), sys.argv
    sys.argv = ["verify_audit.py", scene.url, "--keys", str(scene.home / "keys" / "audit.pub")]
    try:
        with redirect_stdout(said):
            assert module.main() == 1
    finally:
        sys.argv = argv
    return said.getvalue()

#!/usr/bin/env python3
"""Verify the log of Counterflow without Counterflow: this file, Python 3.11 and the package cryptography.

    verify_audit.py EXPORT_DIRECTORY | postgresql://...  [--keys audit.pub] [--outside CHECKPOINT_DIRECTORY]

Checks each row against its hash, its chain and its own body; each checkpoint against its signature, its Merkle root,
the one before and (--outside) the copy that was kept; each head that it names against the rows. Exit: 0 it holds,
1 findings, 2 cannot be read. Take --keys from elsewhere than the export, or it vouches for itself.
"""

import argparse
import json
import sqlite3
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path

FINDINGS = []


def check(holds, *words):
    if not holds:
        FINDINGS.append(" ".join(str(word) for word in words))
    return bool(holds)


def merkle_root(heads):
    level = [b"\0" + case.encode() + b"\0" + int(seq).to_bytes(8, "big") + bytes.fromhex(h) for case, seq, h in heads]
    level = [sha256(leaf).digest() for leaf in level]
    while len(level) > 1:
        pairs = [sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0].hex()


def signed(key, signature, message):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), message)
        return True
    except (InvalidSignature, ValueError):
        return False


def check_checkpoints(source, keys, outside, claims):
    """Check each; keep what the good ones claim of rows. Returns number and time of the last one."""
    number, prev, signer, at = 0, "00" * 32, 0, "never"
    for number, one in enumerate(source, 1):
        name = f"checkpoint {number}:"
        try:
            said, heads = json.loads(one["body"]), [line.split(" ") for line in one["heads"].splitlines()]
            message, key, at = (
                b"counterflow checkpoint 1\n" + one["body"].encode(),
                said["public_key"],
                said["recorded_at"],
            )
            check(one["number"] == said["number"] == number, name, "its number is", one["number"], "or", said["number"])
            check(said["prev"] == prev, name, "does not follow the one before")
            good = check(key in keys, name, "signed with a key that is not trusted:", key)
            check(not good or keys.index(key) >= signer, name, "signed with a key after its replacement")
            good &= check(signed(key, one["signature"], message), name, "the signature does not fit")
            good &= check(merkle_root(heads) == said["root"], name, "its heads are not those that were signed")
            signer, prev = max(signer, keys.index(key) if key in keys else 0), sha256(message).hexdigest()
            if good:
                claims.executemany("INSERT INTO claims VALUES (?, ?, ?, ?)", ((*head, number) for head in heads))
            if copy := outside.pop(one["number"], None):
                check(json.loads(copy.read_bytes()) == one, name, "differs from the copy", copy)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError) as error:
            check(False, name, "cannot be read:", repr(error))
    for missing, path in sorted(outside.items()):
        check(False, f"checkpoint {missing}: removed; the copy outside is {path}")
    return number, at


def check_rows(source, claims, complete):
    """Check each row, each case in order. Returns how many rows, and how many that no checkpoint covers."""
    case, seq, prev, count, covered, after = None, 0, "", 0, 0, 0
    for row in source:
        name = f"case {row['case']} row {row['seq']}:"
        if row["case"] != case:
            case, seq, prev = row["case"], 0, "00" * 32
            covered = claims.execute("SELECT coalesce(max(seq), 0) FROM claims WHERE case_id = ?", (case,)).fetchone()[
                0
            ]
            claims.execute("INSERT INTO seen VALUES (?)", (case,))
        check(row["seq"] == seq + 1, name, "expected row", seq + 1)
        check(row["prev_hash"] == prev, name, "does not follow the row before")
        seq, prev, count, after = row["seq"], row["hash"], count + 1, after + (row["seq"] > covered)
        try:
            hashed = sha256(bytes.fromhex(row["prev_hash"]) + row["body"].encode()).hexdigest()
            check(hashed == row["hash"], name, "the hash does not fit the body")
            said = json.loads(row["body"])
            check((said["case"], said["seq"]) == (case, seq), name, "its body names another row")
            same = datetime.fromisoformat(said["recorded_at"]) == datetime.fromisoformat(row["recorded_at"])
            check(same, name, "its body names another time")
        except (ValueError, KeyError, TypeError) as error:
            check(False, name, "cannot be read:", repr(error))
        found = claims.execute("DELETE FROM claims WHERE case_id = ? AND seq = ? RETURNING hash, number", (case, seq))
        for digest, number in found.fetchall():
            check(digest == row["hash"], name, "checkpoint", number, "signed another hash")
    where = "" if complete else "WHERE case_id IN (SELECT case_id FROM seen)"
    for case, seq, number in claims.execute(f"SELECT case_id, seq, number FROM claims {where} ORDER BY 1, 2"):
        check(False, f"case {case} row {seq}: is not there, but checkpoint {number} signed it")
    return count, after


def lines(path):
    with path.open("rb") as file:
        yield from map(json.loads, file)


def query(url, statement):
    """The rows of a table as an export has them, one by one."""
    import psycopg

    plain = {bytes: bytes.hex, datetime: datetime.isoformat}
    with psycopg.connect(url) as conn, conn.cursor("verify", row_factory=psycopg.rows.dict_row) as cursor:
        for row in cursor.execute(statement):
            yield {name: plain.get(type(value), lambda same: same)(value) for name, value in row.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--outside", type=Path)
    asked, claims = parser.parse_args(), sqlite3.connect("")  # a temporary file: memory does not grow with the log
    claims.executescript(
        "CREATE TABLE claims (case_id, seq INTEGER, hash, number); CREATE TABLE seen (case_id);"
        "CREATE INDEX by_row ON claims (case_id, seq)"
    )
    try:
        if "://" in asked.source:
            complete, keys = True, asked.keys.read_text().split()
            stated = query(asked.source, "SELECT number, body, heads, signature FROM checkpoints ORDER BY number")
            log = query(asked.source, 'SELECT case_id AS "case", * FROM log ORDER BY case_id, seq')
        else:
            export = Path(asked.source)
            complete = json.loads((export / "manifest.json").read_bytes())["complete"]
            keys = (asked.keys or export / "public_keys.txt").read_text().split()
            stated, log = lines(export / "checkpoints.jsonl"), lines(export / "log.jsonl")
        outside = {int(path.stem): path for path in asked.outside.glob("[0-9]*/*.json")} if asked.outside else {}
        number, at = check_checkpoints(stated, keys, outside, claims)
        count, after = check_rows(log, claims, complete)
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        print(f"cannot be read: {error!r} (a database needs --keys and psycopg)", file=sys.stderr)
        return 2
    print(*(f"FOUND {finding}" for finding in FINDINGS), sep="\n", end="\n" if FINDINGS else "")
    print(
        f"{count} rows, {number} checkpoints, {len(FINDINGS)} findings. Signed up to checkpoint {number}, {at};",
        f"{after} rows came after it" + ("." if complete else "; of other cases this export says nothing."),
    )
    return 1 if FINDINGS else 0


if __name__ == "__main__":
    sys.exit(main())

"""Making an installation, its keys and policies, checking it, and what the exit codes say."""

import subprocess
import sys
from pathlib import Path

import pytest

from counterflow.cli import COMMANDS, run
from counterflow.policies import default, default_text
from tests.cli.conftest import Command


def test_init_makes_everything_and_overwrites_nothing(home: Path, command: Command) -> None:
    assert {path.name for path in home.iterdir()} == {"counterflow.toml", "policies", "keys", ".gitignore"}
    assert {path.name for path in (home / "keys").iterdir()} >= {"install.secret", "audit.pem", "audit.pub"}
    assert (home / "keys" / "install.secret").stat().st_mode & 0o077 == 0
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    again = command("init", str(home))
    assert again.code == 5 and "counterflow.toml" in again.err
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_doctor_says_what_to_do(home: Path, command: Command) -> None:
    found = {row["what"].partition(":")[0]: row for row in command("doctor", "-o", "json").json}
    assert (
        found["database"]["fine"]
        and found["migrations"]["fine"]
        and found["policies"]["fine"]
        and found["disk"]["fine"]
    )
    assert not found["workers"]["fine"] and "counterflow serve" in found["workers"]["next_move"]
    assert command("doctor").code == 1
    (home / "counterflow.toml").write_text("[routes]\nerp = 'nobody'\n")
    broken = command("doctor")
    assert broken.code == 1 and "nobody" in broken.out


def test_doctor_names_an_address_to_which_credentials_go_in_the_clear(home: Path, command: Command) -> None:
    account = 'connector = "warehouse"\ntoken = "t"\nwebhook_secret = "whsec_c2VjcmV0"\nbase_url = "http://{}"\n'
    places = '[connections.{}.places]\nLEJ1 = "leipzig"\n'
    text = "".join(
        f"[connections.{name}]\n{account.format(host)}{places.format(name)}"
        for name, host in (("near", "127.0.0.1:9"), ("far", "wms.example.com"))
    )
    (home / "counterflow.toml").write_text(f"{text}[routes]\nerp = ''\n")
    rows = command("doctor", "-o", "json").json
    [lint] = [row for row in rows if "not encrypted" in row["what"]]
    assert lint["what"].startswith("far: base_url") and "https://" in lint["next_move"] and not lint["fine"]


def test_doctor_without_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setenv("COUNTERFLOW_HOME", str(tmp_path / "nowhere"))
    ran = command("doctor")
    assert ran.code == 1 and "counterflow init" in ran.out
    assert not (tmp_path / "nowhere").exists()


def test_keys_are_made_listed_and_revoked(command: Command) -> None:
    made = command(
        "keys", "create", "till-7", "--role", "warehouse", "--channel", "shop", "--function", "stock", "-o", "json"
    )
    assert made.code == 0 and made.json["key"].startswith("cf_test_")
    [row] = command("keys", "list", "-o", "json").json
    assert (row["name"], row["role"], row["channels"], row["functions"]) == ("till-7", "warehouse", ["shop"], ["stock"])
    assert made.json["key"] not in command("keys", "list", "-o", "json").out
    assert command("keys", "create", "till-7", "--role", "reader").code == 5
    assert command("keys", "create", "x", "--role", "king").code == 2
    assert command("keys", "create", "x", "--role", "reader", "--days", "0").code == 2
    assert command("keys", "revoke", "till-7").code == 0
    assert command("keys", "list", "-o", "json").json[0]["revoked_at"]
    assert command("keys", "revoke", "nobody").code == 3


def test_a_secret_that_others_may_read_is_refused(home: Path, command: Command) -> None:
    (home / "keys" / "install.secret").chmod(0o644)
    ran = command("keys", "create", "x", "--role", "reader")
    assert ran.code == 2 and "chmod 600" in ran.err


def test_policies_are_checked_tested_and_explained(home: Path, command: Command, tmp_path: Path) -> None:
    assert command("policy", "list", "-o", "json").json[0]["version"] == default().version
    assert command("policy", "check").code == command("policy", "test").code == 0
    broken = tmp_path / "broken.toml"
    broken.write_text(default_text().replace('then.decision = "approve"', 'then.decision = "aprove"', 1))
    ran = command("policy", "check", str(broken))
    assert ran.code == 1 and "line" in ran.out
    assert command("policy", "check", str(tmp_path / "none.toml")).code == 3
    answer = command("policy", "explain", "refund_moment", "case_kind=return", "remedy=refund", "-o", "json").json
    assert answer["needs_review"] in (True, False) and answer["sentence"]
    assert command("policy", "explain", "weather").code == 3
    assert command("policy", "explain", "fees", "nonsense").code == 2


def test_the_log_of_nothing_holds(command: Command, tmp_path: Path) -> None:
    assert command("audit", "verify").code == 0
    assert command("audit", "export", str(tmp_path / "pack")).code == 0
    assert {path.name for path in (tmp_path / "pack").iterdir()} >= {"log.jsonl", "checkpoints.jsonl"}
    assert command("audit", "export", str(tmp_path / "pack")).code == 5


def test_graphs_connectors_and_version(command: Command) -> None:
    assert command("workflow", "graph", "--axis", "goods").out.startswith("stateDiagram-v2")
    assert command("workflow", "graph").out.count("stateDiagram-v2") == 7
    assert command("workflow", "graph", "--axis", "weather").code == 2
    names = {row["name"] for row in command("connectors", "list", "-o", "json").json}
    assert {"shopify", "stripe", "odoo"} <= names
    assert "counterflow" in command("version", "-o", "json").json
    assert command("conformance", "nobody").code == 3
    flows = command("conformance", "odoo", "--only", "scrapped", "-o", "json").json
    assert [row["case"][:15] for row in flows] == ["goods: Scrapped"] and flows[0]["outcome"] == "passed"
    assert command("conformance", "bank", "--only", "manifest_is_complete", "-o", "json").json[0]["point"] == 1
    assert command("demo", "no-such-story").code == 3


@pytest.mark.parametrize("arguments", [["nonsense"], ["case"], ["case", "show"], ["case", "list", "--colour", "red"]])
def test_usage_is_one_line_and_2(arguments: list[str], command: Command) -> None:
    ran = command(*arguments)
    assert ran.code == (0 if arguments == ["case"] else 2)
    if ran.code:
        assert ran.err.count("\n") == 1 and "--help" in ran.err


def test_a_database_that_is_away_is_6(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFLOW_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    ran = command("case", "list")
    assert ran.code == 6 and ran.err.count("\n") == 1


def test_a_home_without_configuration_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("COUNTERFLOW_HOME", str(tmp_path))
    ran = command("replay")
    assert ran.code == 2 and "counterflow init" in ran.err


def test_every_command_has_a_help_page(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0, name
        assert "Usage: counterflow" in capsys.readouterr().out


def test_the_help_page_loads_no_web_server_and_no_database_driver() -> None:
    code = (
        "import sys; from counterflow.cli import run; run(['--help']); "
        "print([m for m in ('fastapi', 'psycopg', 'uvicorn', 'pydantic', 'cel', 'alembic') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-E", "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"

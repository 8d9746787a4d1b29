"""The fast lane: the visit as the code of one server action, so that any number of documents is one call.

An administrator installs it (`counterflow odoo install`); no module is needed. The code carries its own hash as its
version. It is compared with ours word by word before it is used for the first time, and by its version in each call:
with any other code the plain lane is taken, and `doctor` says so.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import structlog

from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.procedure import CONFLICT, MODULE
from counterflow.connectors.odoo.wires import major_of
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, NotFound, Rejected, Transient

logger = structlog.get_logger(__name__)

ACTION = "ir.actions.server"
XML_ID = f"{MODULE}.procedure"
PARTS = ("steps", "sale", "writing", "receipts", "amounts", "credits", "payments", "whole", "inside")
_ACTIONS_MOST = 20_000
_LOOK_AGAIN = timedelta(minutes=10)  # after a mismatch: somebody may have installed it meanwhile


@cache
def version() -> str:
    """The hash of what the procedure does."""
    return sha256(_body().encode()).hexdigest()[:16]


@cache
def code() -> str:
    """The text of the server action."""
    head = (
        f"# Counterflow's procedure. Do not edit it: `counterflow odoo install` writes it.\nVERSION = {version()!r}\n"
    )
    return f"{head}\n{_body()}\naction = serve(env, VERSION, UserError)\n"


def _body() -> str:
    """The modules of `procedure` in one text, without imports and docstrings (`__doc__` is a forbidden name)."""
    parts = []
    for name in PARTS:
        text = (files("counterflow.connectors.odoo.procedure") / f"{name}.py").read_text("utf-8")
        lines = text.splitlines()
        for node in reversed(ast.parse(text).body):
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if docstring or isinstance(node, ast.ImportFrom):
                del lines[node.lineno - 1 : node.end_lineno]
        parts.append("\n".join(lines).strip("\n"))
    return "\n\n\n".join(parts) + "\n"


async def install(client: Client) -> str:
    """Create or update the server action, with an administrator's key; answers its version."""
    groups = "group_ids" if major_of(await client.version()) >= 19 else "groups_id"
    fields = ["id", "name", "model_id/id", "state", "code", f"{groups}/id"]
    row = [
        XML_ID,
        "Counterflow procedure",
        "account.model_account_move",
        "code",
        code(),
        "account.group_account_invoice",
    ]
    answer = await client.load_rows(ACTION, fields=fields, data=[row])
    if not answer.get("ids"):
        raise Rejected(f"Odoo does not take the procedure: {answer.get('messages')}")
    return version()


async def remove(client: Client) -> bool:
    """Delete the server action; False when there is none."""
    found = await client.find(XML_ID)
    if found is None:
        return False
    await client.do(ACTION, "unlink", ids=[found[1]])
    return True


@dataclass
class FastLane:
    """The installed procedure, as far as it is ours.

    A key that is refused says nothing of the procedure: the refusal goes out as in the plain lane, the connection takes
    or makes another key, and this lane goes on with it. What Odoo refuses to this user (a right, the action) leaves it.
    """

    client: Client
    action: int = 0
    look_at: datetime | None = None  # not before this

    async def run(
        self, operations: Sequence[dict[str, Any]], settings: dict[str, Any], now: datetime
    ) -> dict[str, Any] | None:
        """The outcomes by key; None where the plain lane has to be taken, and nothing happened here."""
        if not self.action:
            if self.look_at is not None and now < self.look_at:
                return None
            if problem := await self.problem():
                self._leave(problem, now)
                return None
        asked = {"version": version(), "operations": list(operations), "settings": settings}
        try:
            answer = await self.client.do(ACTION, "run", ids=[self.action], context={"counterflow": asked})
        except (Rejected, NotFound, AuthFailed) as error:
            if CONFLICT in error.message:
                raise Transient("the procedure met another writer", code=error.code) from None
            if _of_the_key(error):
                raise
            self._leave(error.message, now)
            return None
        if not isinstance(answer, dict) or "outcomes" not in answer:
            self._leave("another version was installed meanwhile", now)
            return None
        return dict(answer["outcomes"])

    async def problem(self) -> str:
        """Why the procedure cannot be used; empty when it is installed and word by word ours. Raises what says nothing
        of it: an Odoo that does not answer, say."""
        try:
            # Whoever is no administrator may run an action and ask for its external id, but not search for it.
            names = await self.client.ask(ACTION, "get_external_id", ids=list(range(1, _ACTIONS_MOST)))
            action = next((int(id) for id, name in names.items() if name == XML_ID), 0)
            if not action:
                return "the procedure is not installed: run `counterflow odoo install`"
            answer = await self.client.ask(ACTION, "run", ids=[action], context={"counterflow": {"show": action}})
        except (Rejected, NotFound, AuthFailed) as error:
            if _of_the_key(error):
                raise
            return f"the procedure does not run: {error.message}"
        if not isinstance(answer, dict) or str(answer.get("code") or "").strip() != code().strip():
            return "the procedure in Odoo is not that of this version: run `counterflow odoo install`"
        self.action = action
        return ""

    def _leave(self, why: str, now: datetime) -> None:
        logger.warning("odoo_plain_lane", why=why)
        self.action, self.look_at = 0, now + _LOOK_AGAIN


def _of_the_key(error: ConnectorError) -> bool:
    """Whether nobody was let in, or an action refused to somebody who was (AccessError)."""
    return isinstance(error, AuthFailed) and error.code != "AccessError"

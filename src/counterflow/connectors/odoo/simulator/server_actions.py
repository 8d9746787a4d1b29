"""Server actions with code: what `safe_eval` refuses, and running the rest against the simulated records.

Recorded on a real Odoo 19: who may see, change and run one; that forbidden code is refused when it is saved; what an
exception inside becomes. The code meets a small `env`: models, `browse`, `with_context`, public methods, savepoints.
"""

import ast
import builtins
import symtable
from typing import TYPE_CHECKING, Any

from counterflow.connectors.odoo.simulator.access import ROLES, refuse
from counterflow.connectors.odoo.simulator.errors import (
    AccessError,
    MissingError,
    OdooError,
    PythonError,
    UserError,
    ValidationError,
)
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals

if TYPE_CHECKING:
    from counterflow.connectors.odoo.simulator.calls import Odoo

_FORBIDDEN: dict[type[ast.AST], str] = {
    ast.Import: "IMPORT_NAME",
    ast.ImportFrom: "IMPORT_NAME, IMPORT_FROM",
    ast.With: "WITH_EXCEPT_START, BEFORE_WITH",
    ast.ClassDef: "LOAD_BUILD_CLASS",
    ast.Assert: "LOAD_ASSERTION_ERROR",
    ast.YieldFrom: "GET_YIELD_FROM_ITER, SEND",
    ast.AnnAssign: "SETUP_ANNOTATIONS",
    ast.AsyncFunctionDef: "GET_AWAITABLE",
    ast.Global: "STORE_GLOBAL",
    ast.Nonlocal: "STORE_DEREF",
}
_BUILTINS = (
    "bytes str bool int float enumerate dict list tuple map abs min max sum filter sorted round len repr set all any "
    "ord chr divmod isinstance range zip Exception"
)
_RUNNERS = ("admin", "integration", "minimal")  # who is in the group that the procedure names


class ServerAction(Model):
    name = "ir.actions.server"
    title = "Server Action"
    defaults = {"state": "object_write", "type": "ir.actions.server"}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        _check(vals.get("code"))
        return vals

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        _check(vals.get("code"))
        return vals


def _check(code: Any) -> None:
    if not code:
        return
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise ValidationError(f"{type(error).__name__} : {error.msg} at line {error.lineno}") from None
    if ast.get_docstring(tree) is not None:
        raise PythonError("NameError", f"Access to forbidden name '__doc__' ({code!r})")
    for node in ast.walk(tree):
        opcodes = _FORBIDDEN.get(type(node), "")
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            opcodes = "STORE_ATTR"
        if opcodes:
            raise ValidationError(f"forbidden opcode(s) in {code!r}: {opcodes}")
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if "__" in name:
            raise PythonError("NameError", f"Access to forbidden name {name!r} ({code!r})")
    if _closes_over(symtable.symtable(code, "action", "exec")):
        raise ValidationError("forbidden opcode(s) in 'lambda': LOAD_CLOSURE, MAKE_CELL")


def _closes_over(scope: symtable.SymbolTable) -> bool:
    """Whether a function or comprehension uses a local name of the function around it."""
    free = isinstance(scope, symtable.Function) and bool(scope.get_frees())
    return free or any(_closes_over(inner) for inner in scope.get_children())


def run(odoo: "Odoo", env: Env, role: str, ids: list[int]) -> Any:
    """What the code puts into `action`; False when it puts nothing there."""
    result: Any = False
    for id in ids:
        row = env.db.row(ServerAction.name, id)
        if row is None:
            raise MissingError.of(ServerAction.name, id, env.uid)
        if role not in _RUNNERS:
            raise AccessError("You don't have enough access rights to run this action.")
        code = str(row.get("code") or "")
        names: dict[str, Any] = {
            "__builtins__": {name: getattr(builtins, name) for name in _BUILTINS.split()},
            "env": _Env(odoo, env, role),
            "UserError": UserError,
        }
        try:
            exec(compile(code, "action", "exec"), names)
        except OdooError:
            raise
        except Exception as error:
            raise PythonError("ValueError", f"{error!r} while evaluating\n{code!r}") from error
        result = names.get("action") or False
    return result


class _Env:
    """`env` inside the code."""

    def __init__(self, odoo: "Odoo", env: Env, role: str) -> None:
        self.odoo, self.env, self.role = odoo, env, role
        self.context, self.uid, self.cr = env.context, env.uid, _Cursor(env)

    def __getitem__(self, model: str) -> "_Records":
        return _Records(self.odoo, self.env, self.role, model)


class _Records:
    """Records of one model: public methods, and fields of a single one."""

    def __init__(self, odoo: "Odoo", env: Env, role: str, model: str, ids: tuple[int, ...] = ()) -> None:
        self._odoo, self._env, self._role, self._model, self.ids = odoo, env, role, model, list(ids)

    def browse(self, ids: int | list[int]) -> "_Records":
        found = (ids,) if isinstance(ids, int) else tuple(ids)
        return _Records(self._odoo, self._env, self._role, self._model, found)

    def with_context(self, context: dict[str, Any]) -> "_Records":
        env = self._odoo.env(self._env.uid, context, self._env.snapshot)
        return _Records(self._odoo, env, self._role, self._model, tuple(self.ids))

    def sudo(self) -> "_Records":
        env = self._odoo.env(ROLES["admin"], self._env.context, self._env.snapshot)
        return _Records(self._odoo, env, "admin", self._model, tuple(self.ids))

    def __getattr__(self, name: str) -> Any:
        if len(self.ids) == 1 and name in self._env.contract[self._model]:
            return self._env.rec(self._model, self.ids[0]).raw(name)

        def method(*arguments: Any, **named: Any) -> Any:
            refuse(self._env, self._role, self._model, name, self._odoo.models)
            function, model_level, reads = self._odoo.method(self._model, name)
            if not reads:
                self._env.exists(self._model, self.ids)
            result = function(self._env, *(() if model_level else (self.ids,)), *arguments, **named)
            return self.browse(result) if name == "create" else result

        return method


class _Cursor:
    def __init__(self, env: Env) -> None:
        self._env = env

    def savepoint(self) -> "_Savepoint":
        return _Savepoint(self._env)


class _Savepoint:
    def __init__(self, env: Env) -> None:
        self._db, self._mark = env.db, env.db.mark()

    def close(self, *, rollback: bool) -> None:
        if rollback:
            self._db.back_to(self._mark)


MODELS: list[type[Model]] = [ServerAction]

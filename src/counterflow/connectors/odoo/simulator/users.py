"""Users and their groups, API keys that end, and which apps are installed."""

import hashlib
from datetime import datetime, timedelta

from counterflow.connectors.odoo.simulator.access import GROUPS, ROLES
from counterflow.connectors.odoo.simulator.errors import AccessDenied, UserError, ValidationError
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

KEY_DAYS = 90  # of users who are no administrators
KEYS_MOST = 10
STAMP = "%Y-%m-%d %H:%M:%S"


class User(Model):
    name = "res.users"
    order = "name, login"
    defaults = {"active": True, "company_id": 1}
    computed = {"email": lambda rec: rec.partner_id.email}

    @method(model_level=True)
    def context_get(self, env: Env) -> Vals:
        return {"lang": "en_US", "tz": "UTC", "uid": env.uid}

    @method()
    def has_group(self, env: Env, ids: list[int], group_ext_id: str) -> bool:
        return group_ext_id in GROUPS[role_of(ids[0])]


def role_of(uid: int) -> str:
    return next(role for role, id in ROLES.items() if id == uid)


class ApiKey(Model):
    """A key in force has a row; `_key` is what its owner was shown once."""

    name = "res.users.apikeys"
    defaults = {"scope": "rpc"}

    @staticmethod
    def holder(env: Env, key: str) -> Rec:
        """The user whose key this is; none when it is unknown, revoked or has ended."""
        found = env.one("res.users.apikeys", _key=key)
        ends = found.row.get("expiration_date") if found else ""
        if not found or (ends and str(ends) < env.stamp):
            return env.rec("res.users", 0)
        return found.user_id  # type: ignore[no-any-return]

    @method(model_level=True)
    def generate(self, env: Env, key: str, scope: str, name: str, expiration_date: str) -> str:
        _allowed(env)
        living = [rec for rec in env.find(self.name, user_id=env.uid) if self.holder(env, str(rec.row["_key"]))]
        if len(living) >= KEYS_MOST:
            raise UserError(f"Limit of {KEYS_MOST} API keys is reached for programmatic creation")
        if self.holder(env, key).id != env.uid:
            raise AccessDenied("The provided API key is invalid or does not belong to the current user.")
        until = datetime.strptime(expiration_date, STAMP)  # noqa: DTZ007 - Odoo's stamps are UTC without saying so
        if role_of(env.uid) != "admin" and until > env.now.replace(tzinfo=None) + timedelta(days=KEY_DAYS):
            raise ValidationError(f"You cannot exceed {float(KEY_DAYS)} days.")
        return make_key(env, env.uid, name, expiration_date)

    @method(model_level=True)
    def revoke(self, env: Env, key: str) -> bool:
        _allowed(env)
        found = env.one(self.name, _key=key)
        if not found or not self.holder(env, key):
            raise AccessDenied("The provided API key is invalid.")
        env.unlink(self.name, [found.id])
        return True


def make_key(env: Env, uid: int, name: str, ends: str | bool, key: str = "") -> str:
    key = key or hashlib.sha256(f"key {env.db.next('api_key')}".encode()).hexdigest()[:40]
    env.create("res.users.apikeys", {"name": name, "user_id": uid, "expiration_date": ends, "_key": key})
    return key


def _allowed(env: Env) -> None:
    if role_of(env.uid) != "admin" and not env.rec("res.company", 1).row.get("_programmatic_keys"):
        raise UserError("Programmatic API keys are not enabled")


class Module(Model):
    name = "ir.module.module"
    order = "name"
    defaults = {"state": "installed"}


MODELS: list[type[Model]] = [User, ApiKey, Module]

"""Manifest and configuration: complete, described, and silent about secrets."""

import re

from pydantic import ValidationError

from counterflow.sdk.manifest import Idempotency, problems
from counterflow.sdk.testing.check import check, connector
from counterflow.sdk.testing.harness import Harness

_SOUNDS_SECRET = re.compile(r"secret|token|password|api_key|private_key")


@check(1, connector)
async def manifest_is_complete(harness: Harness, _: str) -> None:
    """The manifest has all that its roles need, and says how each command is made exactly once."""
    manifest = harness.manifest
    found = problems(manifest)
    assert not found, "; ".join(found)
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", manifest.name), f"the name {manifest.name!r} is not lower-case letters"
    assert manifest.title, "the manifest needs a title for people"
    assert manifest.docs.startswith("https://"), "the manifest needs a link to the vendor's documentation (docs)"
    assert manifest.version, "the manifest needs a version of its translation: facts keep it"
    feeds = [feed.name for feed in manifest.feeds]
    assert len(set(feeds)) == len(feeds), "two feeds have one name"
    heard = {topic for feed in manifest.feeds for topic in feed.webhooks}
    assert heard <= set(manifest.topics), f"topics lacks {', '.join(sorted(heard - set(manifest.topics)))}"


@check(1, connector)
async def keys_fit(harness: Harness, _: str) -> None:
    """Every command's limits are usable: an effect id of 29 characters, or a hash of 16, fits the key."""
    for kind, support in harness.manifest.commands.items():
        assert support.key_max_length >= 16, f"{kind}: a key of {support.key_max_length} characters collides"
        assert support.batch >= 1 and support.settle_seconds >= 0, f"{kind}: batch and settle_seconds are not negative"
        if support.idempotency is not Idempotency.NATIVE:
            assert not support.key_retention_seconds, f"{kind}: only keys that they keep have a retention"


@check(1, connector)
async def config_is_described(harness: Harness, _: str) -> None:
    """Every field of the configuration says what it is for."""
    bare = [name for name, field in harness.maker.Config.model_fields.items() if not field.description]
    assert not bare, f"no description: {', '.join(bare)}"


@check(1, connector)
async def unknown_config_is_refused(harness: Harness, _: str) -> None:
    """A key that the connector does not know is refused: a misspelt key must not be silent."""
    try:
        harness.maker.Config.model_validate({**harness.config, "no_such_key": 1})
    except ValidationError:
        return
    raise AssertionError("an unknown key was taken: let Config inherit ConnectorConfig (extra=forbid)")


@check(25, connector)
async def secrets_are_declared(harness: Harness, _: str) -> None:
    """Secret fields are SecretStr and named in the manifest; what sounds like a secret is one."""
    fields = harness.maker.Config.model_fields
    declared = set(harness.manifest.secret_fields)
    assert declared <= fields.keys(), f"no such field: {', '.join(sorted(declared - fields.keys()))}"
    plain = [name for name in sorted(declared) if "SecretStr" not in str(fields[name].annotation)]
    assert not plain, f"not a SecretStr: {', '.join(plain)}"
    hidden = [name for name, field in fields.items() if "SecretStr" in str(field.annotation)]
    missing = [name for name in (*hidden, *filter(_SOUNDS_SECRET.search, fields)) if name not in declared]
    assert not missing, f"manifest.secret_fields lacks {', '.join(dict.fromkeys(missing))}"


@check(25, connector)
async def config_keeps_its_secrets(harness: Harness, _: str) -> None:
    """No representation and no validation error of the configuration shows a secret."""
    config = harness.maker.Config.model_validate(dict(harness.config))
    shown = repr(config) + str(config) + repr(config.model_dump()) + config.model_dump_json()
    connected = harness.connector
    shown += repr(connected) + "".join(map(repr, getattr(connected, "__dict__", {}).values()))
    for secret in harness.secrets:
        assert secret not in shown, "a representation shows a secret"
    for name in harness.manifest.secret_fields:
        told = ""
        try:
            harness.maker.Config.model_validate({**harness.config, "no_such_key": 1, name: ["marker-5e1f"]})
        except ValidationError as error:
            told = str(error)
        assert "marker-5e1f" not in told, f"the error of a wrong {name} shows it: set hide_input_in_errors"

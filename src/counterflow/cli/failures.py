"""What went wrong, as an exit code and one line for a person."""

FAILED, USAGE, NOT_FOUND, DENIED, CONFLICT, UNAVAILABLE = 1, 2, 3, 4, 5, 6


class Stop(Exception):
    """A command ends here: with this exit code and this line, which names the next move."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def explained(error: Exception) -> tuple[int | None, str]:
    """(exit code, line); None for what is a fault of ours and deserves its traceback.

    By the class's name, so that no module is loaded only to ask.
    """
    if isinstance(error, Stop):
        return error.code, str(error)
    names = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
    for name in names:
        if name in CODES:
            return CODES[name], " ".join(str(error).split()) or name
    return None, ""


CODES = {
    "counterflow.ConfigurationError": USAGE,
    "counterflow.SecretError": USAGE,
    "counterflow.KeyFileError": USAGE,
    "counterflow.MigrationError": FAILED,
    "counterflow.Denied": DENIED,
    "counterflow.NotPossible": CONFLICT,
    "counterflow.KeyExists": CONFLICT,
    "counterflow.Busy": UNAVAILABLE,
    "counterflow.ConnectorError": UNAVAILABLE,
    "counterflow.EmbeddedError": UNAVAILABLE,
    "psycopg.OperationalError": UNAVAILABLE,
    "psycopg_pool.PoolTimeout": UNAVAILABLE,
    "pydantic_core.ValidationError": USAGE,
}

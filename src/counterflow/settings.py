"""What the process is told from outside: environment variables, all with the prefix COUNTERFLOW_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one process. What belongs to the retailer (connections, places, policies) is in counterflow.toml."""

    model_config = SettingsConfigDict(env_prefix="COUNTERFLOW_", extra="ignore")

    home: Path = Field(
        default=Path(".counterflow"),
        description="Directory of this installation: configuration, keys, database",
    )
    database_url: str = Field(default="", description="PostgreSQL 15 or newer; empty: the embedded one under the home")
    host: str = Field(default="127.0.0.1", description="Address that the API listens on")
    port: int = Field(default=8800, description="Port that the API listens on")
    clock_file: Path | None = Field(
        default=None, description="File with an offset in seconds, for a world whose clock can jump"
    )
    log_level: str = Field(default="info", description="debug, info, warning or error")
    workers: int = Field(default=1, description="Worker processes that `serve` starts beside the API", ge=0, le=64)
    checkpoint_dir: Path | None = Field(
        default=None, description="Where signed checkpoints are also kept; empty: <home>/checkpoints"
    )
    max_body_bytes: int = Field(default=2_000_000, description="Largest delivery that intake accepts")

    @property
    def config_file(self) -> Path:
        return self.home / "counterflow.toml"

    @property
    def checkpoints(self) -> Path:
        return self.checkpoint_dir or self.home / "checkpoints"

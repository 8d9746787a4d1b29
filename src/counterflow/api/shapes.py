"""The shapes that requests and answers share: bounded texts, amounts and quantities, pages."""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
)
from pydantic_core.core_schema import CoreSchema, literal_schema

from counterflow.api.problems import invalid

T = TypeVar("T")

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"


def _plain(text: str) -> str:
    """No control characters, and nothing that is no text at all (half of a surrogate pair)."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise ValueError("it has control characters: send plain text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half a character: send whole ones") from None
    return text


def _spoken(text: str) -> str:
    return _plain(text.replace("\n", " ").replace("\t", " ")) and text


def _utc(at: datetime) -> datetime:
    if not datetime(2000, 1, 1, tzinfo=UTC) <= at < datetime(2200, 1, 1, tzinfo=UTC):
        raise ValueError("it is not within 2000 and 2199: correct the year")
    return at.astimezone(UTC)


Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_NO_CONTROLS), AfterValidator(_plain)]
MaybeWord = Annotated[str, StringConstraints(max_length=100, pattern=_NO_CONTROLS), AfterValidator(_plain)]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_CONTROLS), AfterValidator(_plain)]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=_NO_CONTROLS), AfterValidator(_plain)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_spoken)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=1000)]
AmountMinor = Annotated[int, Field(strict=True, ge=0, le=10**12, description="Minor units of the case's currency")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", min_length=3, max_length=3)]
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]

_ID = "[0-9a-hjkmnp-tv-z]{26}"
CaseId = Annotated[str, Path(pattern=f"^rc_{_ID}$", max_length=29)]
ExceptionId = Annotated[str, Path(pattern=f"^ex_{_ID}$", max_length=29)]
IntentId = Annotated[str, Path(pattern=f"^ri_{_ID}$", max_length=29)]
CaseRef = Annotated[str, StringConstraints(pattern=f"^rc_{_ID}$", max_length=29)]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many")]
Cursor = Annotated[str, Query(max_length=200, pattern=r"^[A-Za-z0-9_=-]*$", description="`next` of the page before")]
Filter = Annotated[str, Query(max_length=100, pattern=r"^[A-Za-z0-9_.:-]*$")]


class OneOf:
    """One of these words: an annotation for words that are known at run time only."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(words)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return literal_schema(self.words)


class Strict(BaseModel):
    """A request's body: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """Some of a list. `next` asks for what follows; empty at the end."""

    items: list[T]
    next: str = ""


class Told(BaseModel):
    """What was said is stored and will be decided on; nothing has been refused or done yet."""

    case_id: str
    fact_ids: list[str]


def cursor(at: datetime, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{row_id}".encode()).decode()


def after(text: str) -> tuple[datetime, str] | None:
    """What a cursor says. Raises Problem 422 for one that we did not give."""
    if not text:
        return None
    try:
        at, _, row_id = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None or not row_id or "\x00" in row_id:
            raise ValueError
    except (ValueError, binascii.Error):
        raise invalid("query.cursor", "it is none of ours: send `next` of the page before as it is") from None
    return instant, row_id

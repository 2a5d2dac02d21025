"""What PostgreSQL cannot hold: a NUL, in a text or in a document (fact sheet 10 17)."""

from http import HTTPStatus
from typing import Any, Final, cast

from calcom_pipeline.sandbox.core.errors import Bare

_IN_TEXT: Final = 'invalid byte sequence for encoding "UTF8": 0x00'
_IN_DOCUMENT: Final = "unsupported Unicode escape sequence"


def refuse_nul(*texts: str | None, documents: tuple[Any, ...] = ()) -> None:
    """Raises the 500 (bare) of a write that PostgreSQL refuses.

    Guess, from PostgreSQL: every text of a booking fails like the attendee's name, and a document with its own words.
    """
    if any("\0" in text for text in texts if text):
        raise Bare(HTTPStatus.INTERNAL_SERVER_ERROR, _IN_TEXT)
    if any(_holds_nul(document) for document in documents):
        raise Bare(HTTPStatus.INTERNAL_SERVER_ERROR, _IN_DOCUMENT)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in cast("dict[str, Any]", value).items())
    return isinstance(value, list) and any(_holds_nul(item) for item in cast("list[Any]", value))

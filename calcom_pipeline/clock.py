"""The clock that use cases are handed."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The one clock that use cases are handed."""
    return datetime.now(UTC)

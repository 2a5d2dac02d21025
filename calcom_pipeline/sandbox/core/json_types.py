"""The one alias for JSON objects, and PostgreSQL's order of object keys."""

from typing import Any, cast

Json = dict[str, Any]

__all__ = ["Json", "as_stored", "holds_nul", "is_list", "is_object"]


def as_stored(value: Any) -> Any:
    """`value` as it comes back from a jsonb column: keys by length, then by bytes.

    Cal.com keeps responses and metadata in jsonb, so clients see this order and not the one they sent.
    """
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        ordered = sorted(items, key=lambda item: (len(item[0].encode()), item[0].encode()))
        return {key: as_stored(item) for key, item in ordered}
    if isinstance(value, list):
        return [as_stored(item) for item in cast("list[Any]", value)]
    return value


def holds_nul(value: Any) -> bool:
    """Whether a NUL stands in any text inside: PostgreSQL keeps none."""
    if isinstance(value, dict):
        return any("\0" in name or holds_nul(item) for name, item in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return any(holds_nul(item) for item in cast("list[Any]", value))
    return isinstance(value, str) and "\0" in value


def is_object(value: Any) -> Json | None:
    """`value` as a JSON object, or None if it is none."""
    return cast("Json", value) if isinstance(value, dict) else None


def is_list(value: Any) -> list[Any] | None:
    """`value` as a JSON array, or None if it is none."""
    return cast("list[Any]", value) if isinstance(value, list) else None

"""Rows as plain JSON and back, for state files and account files. Member names are those of the values in `model`."""

import dataclasses
import types
import typing
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar

from calcom_pipeline.sandbox.core.json_types import Json

_T = TypeVar("_T")


def to_plain(value: Any) -> Json:
    """The fields of a row; orjson writes the nested values by itself."""
    return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}


def from_plain(kind: type[_T], values: Json) -> _T:
    """A row of that kind. Raises ValueError for a member that it does not have or that has another type."""
    known = _hints(kind)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    read = {name: _read(known[name], value, f"{kind.__name__}.{name}") for name, value in values.items()}
    try:
        return kind(**read)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {one.name: hints[one.name] for one in dataclasses.fields(kind)}


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in {types.UnionType, typing.Union}:
        return _read_union(hint, value, where)
    if origin is list:
        _expect(isinstance(value, list), where, "a list")
        (member,) = typing.get_args(hint)
        return [_read(member, one, where) for one in value]
    if origin is dict:
        _expect(isinstance(value, dict), where, "an object")
        return value
    if origin is typing.Literal:
        _expect(value in typing.get_args(hint), where, f"one of {', '.join(map(str, typing.get_args(hint)))}")
        return value
    return _read_plain(hint, value, where)


def _read_union(hint: Any, value: Any, where: str) -> Any:
    if value is None:
        return None
    (other,) = (one for one in typing.get_args(hint) if one is not type(None))
    return _read(other, value, where)


def _read_plain(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        _expect(isinstance(value, dict), where, "an object")
        return from_plain(typing.cast("type[Any]", hint), value)
    if hint is date:
        return date.fromisoformat(value)
    if hint in {int, str, bool, float}:
        fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
        _expect(fits, where, hint.__name__)
    return value


def _expect(fits: bool, where: str, what: str) -> None:  # noqa: FBT001 - the condition itself
    if not fits:
        raise ValueError(f"{where} must be {what}")

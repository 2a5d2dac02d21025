"""`reference/settings.md`: every setting with its group, what values it takes, its default, what it decides."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from calcom_pipeline.settings import GROUPS, variable_of
from docs.making.markdown import code, page, prose, table

_INTRODUCTION = """Settings come from the environment and from a `.env` file; the environment wins. Nothing has to be
set: then all of it runs locally, on a sandbox. An unknown `CALCOM_*` is refused, a blank one is unset. A secret may
stand in a file as well: `CALCOM_API_KEY_FILE=/run/secrets/key`. In the file of an [account](../accounts.md) settings
are written in small letters, without `CALCOM_`."""
_HEADINGS = {"Http": "HTTP API", "Ui": "UI"}
_PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}
_UNITS = ("milliseconds", "seconds", "minutes", "hours", "days", "months", "kilobytes", "megabytes")
_BOUNDS = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def settings_page() -> str:
    """The page."""
    return page("Settings", _INTRODUCTION, *(_group(group) for group in GROUPS))


def _group(group: type[BaseModel]) -> str:
    name = group.__name__.removesuffix("Settings")
    words = " ".join(re.findall(r"[A-Z][a-z]+", name)).capitalize()
    rows = [_row(field, info) for field, info in group.model_fields.items()]
    about = prose((group.__doc__ or "").strip())
    return f"## {_HEADINGS.get(name, words)}\n\n{about}\n\n" + table(["setting", "what it decides"], rows)


def _row(field: str, info: FieldInfo) -> list[str]:
    variable = variable_of(field)
    takes = ", ".join([_kind(info.annotation), *_bounds(info), *_unit(field, info)])
    default = code(_default(info))
    return [
        f'<a id="{variable.lower()}"></a>{code(variable)}<br>{takes}; {f"default {default}" if default else "unset"}',
        prose(info.description or ""),
    ]


def _default(info: FieldInfo) -> str:
    value = info.default
    if value in (None, (), PydanticUndefined):
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value.value if isinstance(value, Enum) else value)


def _kind(annotation: Any) -> str:
    """What a person writes for a value of this type."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_kind(one) for one in inner if one is not NoneType)
    if origin is Literal:
        return ", ".join(code(str(one)) for one in inner)
    if origin is tuple:
        return f"comma separated: {_kind(inner[0])}"
    if origin is dict:
        return f"comma separated: name=value, values {_kind(inner[1])}"
    return _kind(inner[0])  # Annotated


def _bounds(info: FieldInfo) -> Iterator[str]:
    for bound in info.metadata:
        yield from (
            words.format(f"{value:,}")
            for name, words in _BOUNDS.items()
            if isinstance(value := getattr(bound, name, None), int | float)
        )


def _unit(field: str, info: FieldInfo) -> Iterator[str]:
    if {int, float} & {info.annotation, *get_args(info.annotation)}:
        yield from (unit for unit in _UNITS if field.endswith(f"_{unit}"))

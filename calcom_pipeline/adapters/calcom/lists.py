"""Lists from outside, row by row: from the bytes of an answer to values, and what happens to rows that cannot be read.

A row that is wrong in itself (a length beyond all bounds, a NUL in a title) does not fail its list: it is handed on as
`UnreadableRow`, with its bytes as they came. A row that comes twice counts once. An answer of another shape altogether,
or one of whose rows none has the shape that was promised, is `ContractBroken`: nothing of it is used.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.listed import Listed, UnreadableRow

T = TypeVar("T")
Row = dict[str, Any]

#: Longer ones do not fit into an index page of PostgreSQL (2,704 bytes, four to a character).
LONGEST_INDEXED = 600
ESCAPED_NUL = b"\\u0000"
HOLDS_NUL = "holds a NUL character, which PostgreSQL cannot store"
NO_JSON_TEXT = "is no valid JSON text: bytes that are no UTF-8, half a surrogate pair, or a number that is none"
TOO_DEEP = "is nested too deeply"
#: That many rows, all of another shape than promised, are no accident.
ROWS_OF_A_NEW_SHAPE = 3

#: Numbers as our columns hold them: bigint, and integer without negative ones.
Id = Annotated[int, Field(ge=0, lt=2**63)]
Small = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(max_length=LONGEST_INDEXED)]

_REASONS_NAMED = 3


class Wire(BaseModel):
    """A shape on the wire: unknown members are ignored, kinds are taken strictly, values never get into an error."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class WrongRowError(ValueError):
    """A row cannot be read. Says which field and what is wrong, never the value.

    `wrong_shape`: it is of another shape than promised, rather than one of its values wrong.
    """

    def __init__(self, reason: str, *, wrong_shape: bool = False) -> None:
        super().__init__(reason)
        self.wrong_shape = wrong_shape


def checked(adapter: TypeAdapter[T], data: Any, exchange: Exchange) -> T:
    """Validate, or raise `ContractBroken` that names the first fields that are wrong and never their values."""
    try:
        return checked_row(adapter, data)
    except WrongRowError as wrong:
        raise ContractBroken(
            f"{exchange.operation} answered another shape than the API promises ({wrong})",
            exchange=exchange,
            advice="Check the cal-api-version header of this endpoint group and CALCOM_BASE_URL.",
        ) from None


def checked_row(adapter: TypeAdapter[T], row: Any) -> T:
    """Validate one row. Raises WrongRowError."""
    try:
        return adapter.validate_python(row, strict=None)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in errors]
        wrong_shape = any(e["type"] == "missing" or e["type"].endswith("_type") for e in errors)
        raise WrongRowError("; ".join(wrong[:_REASONS_NAMED]), wrong_shape=wrong_shape) from None


def listed(
    content: bytes,
    exchange: Exchange,
    *,
    stream: str,
    read: Callable[[Any], T],
    key: Callable[[T], object],
    without: Collection[str] = (),
) -> Listed[T]:
    """The rows of a listing whose `data` is a list, readable and not; of the latter, `without` is not kept.

    Raises:
        ContractBroken: there is no such list, or no row of it has the shape that was promised.
    """
    data, intact = data_of(content, exchange)
    if not isinstance(data, list):
        raise ContractBroken(
            f"{exchange.operation} answered no list",
            exchange=exchange,
            advice="Check the cal-api-version header of this endpoint group and CALCOM_BASE_URL.",
        )
    rows, unreadable, repeated = dict[object, T](), list[UnreadableRow](), 0
    shapes: list[str] = []
    for row in cast("list[Any]", data):
        found = read_row(row, read, stream=stream, key=_id(row), intact=intact, without=without)
        if not isinstance(found, Odd):
            repeated += key(found) in rows
            rows.setdefault(key(found), found)
            continue
        unreadable.append(found.row)
        if found.wrong_shape:
            shapes.append(found.row.reason)
    if not rows and len(shapes) == len(unreadable) >= ROWS_OF_A_NEW_SHAPE:
        raise ContractBroken(
            f"{exchange.operation} answered {len(shapes)} rows of another shape than the API promises ({shapes[0]})",
            exchange=exchange,
            advice="Check the cal-api-version header of this endpoint group and CALCOM_BASE_URL.",
        )
    return Listed(tuple(rows.values()), tuple(unreadable), repeated)


@dataclass(frozen=True, slots=True)
class Odd:
    """A row that could not be read, and whether its shape is to blame."""

    row: UnreadableRow
    wrong_shape: bool = False


def read_row(
    row: Any, read: Callable[[Any], T], *, stream: str, key: str, intact: bool, without: Collection[str] = ()
) -> T | Odd:
    """One row as a value, or what is kept of it."""
    kept = row
    if without and isinstance(row, dict):
        kept = {name: value for name, value in cast("Row", row).items() if name not in without}

    def odd(raw: bytes, reason: str, *, wrong_shape: bool = False) -> Odd:
        return Odd(UnreadableRow(stream, raw, reason, key), wrong_shape)

    try:
        raw = payload(kept, intact=intact)
        if ESCAPED_NUL in raw and holds_nul(kept):
            return odd(raw, HOLDS_NUL)
    except ValueError:
        return odd(as_it_came(kept), NO_JSON_TEXT)
    except (TypeError, RecursionError):  # what orjson and json raise for it
        return odd(deep(kept), TOO_DEEP)
    try:
        return read(row)
    except WrongRowError as wrong:
        return odd(raw, str(wrong), wrong_shape=wrong.wrong_shape)


def data_of(content: bytes, exchange: Exchange) -> tuple[Any, bool]:
    """The `data` of the success envelope, and whether the answer is JSON to the letter. Raises ContractBroken."""
    body, intact = parsed(content, exchange)
    if not isinstance(body, dict) or "data" not in body:
        raise ContractBroken(f"{exchange.operation} answered without `data`", exchange=exchange)
    return cast("Row", body)["data"], intact


def parsed(content: bytes, exchange: Exchange) -> tuple[Any, bool]:
    """The answer, and whether it is JSON to the letter.

    If not, single rows may still be: the lenient parser keeps wrong bytes as half surrogate pairs, which tell the rows
    apart and turn back into the same bytes.
    """
    try:
        return orjson.loads(content), True
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(content.decode(errors="surrogateescape")), False
    except (ValueError, RecursionError):
        raise ContractBroken(f"{exchange.operation} answered something that is no JSON", exchange=exchange) from None


def payload(row: Any, *, intact: bool) -> bytes:
    """Canonical bytes of a row. Raises ValueError for what is no JSON to the letter."""
    if intact:
        return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(orjson.loads(as_it_came(row)), option=orjson.OPT_SORT_KEYS)


def as_it_came(row: Any) -> bytes:
    """A row's bytes, also those that are no UTF-8."""
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair that was escaped in the answer
        return json.dumps(row, separators=(",", ":")).encode()


def deep(row: Any) -> bytes:
    """A row that is nested too deeply to be written in one way or another: without what is nested, if need be."""
    try:
        return as_it_came(row)
    except RecursionError:
        fields = cast("Row", row).items() if isinstance(row, dict) else ()
        return as_it_came({name: value for name, value in fields if not isinstance(value, dict | list)})


def holds_nul(value: Any) -> bool:
    """Whether some text in it, however deep, holds a NUL."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_nul(part) for item in cast("Row", value).items() for part in item)
    return isinstance(value, list) and any(map(holds_nul, cast("list[Any]", value)))


def _id(row: Any) -> str:
    """The id of a row that cannot be read, where there is one: a number in decimals or a short text."""
    found = cast("Row", row).get("id") if isinstance(row, dict) else None
    if type(found) is int and 0 <= found < 2**63:
        return str(found)
    short = isinstance(found, str) and found.isprintable() and 0 < len(found) <= LONGEST_INDEXED
    return str(found) if short and not str(found).isdecimal() else ""

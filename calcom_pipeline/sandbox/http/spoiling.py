"""An answer after a fault: other bytes, other rows, other headers. Pure, apart from the time that it is given."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, cast

import orjson

from calcom_pipeline.sandbox.control.faults import Fault
from calcom_pipeline.sandbox.core.errors import Bare
from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.core.times import SECOND_MS, http_date
from calcom_pipeline.sandbox.http.answers import SandboxAnswer

_BROKEN_JSON: Final = b'{"status":"success","data":[{"id":'
_MEGABYTE: Final = 1_000_000
_BLANKS: Final = b" " * _MEGABYTE  # legal after JSON, so that only its size is wrong with such an answer
Spoiling = Callable[[Fault, SandboxAnswer, int], SandboxAnswer]


def spoil(fault: Fault, answer: SandboxAnswer, now_ms: int) -> SandboxAnswer:
    """The answer as this fault leaves it; unchanged for faults of another sort."""
    change = _SPOILING.get(fault.kind)
    return answer if change is None else change(fault, answer, now_ms)


def put_headers(answer: SandboxAnswer, headers: Mapping[str, str | None]) -> None:
    """Replaces headers, whatever the case of their names; None takes one away."""
    for name, value in headers.items():
        answer.headers = [held for held in answer.headers if held[0].lower() != name.lower()]
        answer.headers += [] if value is None else [(name, value)]


# -- the body


def _truncate(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    answer.body = answer.body[: len(answer.body) // 2]  # the length promised in the header never comes
    return answer


def _malformed(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    return _with_body(answer, _BROKEN_JSON)


def _empty_body(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    return _with_body(answer, b"")


def _content_type(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    put_headers(answer, {"Content-Type": "text/html; charset=utf-8"})
    return answer


def _fail_after_create(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return answer
    body = orjson.dumps(Bare(fault.status, HTTPStatus(fault.status).phrase).body(0, ""))
    return _with_body(answer, body, fault.status)


def _huge_body(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    return _with_body(answer, answer.body + _BLANKS * fault.megabytes)


def _gzip_bomb(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    answer = _with_body(answer, _bomb(answer.body, fault.megabytes))
    put_headers(answer, {"Content-Encoding": "gzip"})
    return answer


def _gzip_truncated(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    packed = gzip.compress(answer.body)
    answer = _with_body(answer, packed[: len(packed) // 2])
    put_headers(answer, {"Content-Encoding": "gzip"})
    return answer


@lru_cache(maxsize=4)
def _bomb(body: bytes, megabytes: int) -> bytes:
    """`body` and megabytes of blanks as gzip: one packed megabyte, repeated, so that it takes no time to make."""
    plain = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    first = plain.compress(body) + plain.flush(zlib.Z_FULL_FLUSH)
    blanks = plain.compress(_BLANKS) + plain.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(body)
    for _ in range(megabytes):
        checksum = zlib.crc32(_BLANKS, checksum)
    size = (len(body) + megabytes * _MEGABYTE) % 2**32
    head = gzip.compress(b"")[:10]
    tail = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return head + first + blanks * megabytes + plain.flush(zlib.Z_FINISH) + tail


# -- what the JSON says


def _bent_body(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    return _with_body(answer, orjson.dumps(_merged(orjson.loads(answer.body), fault.set)))


def _time_zone(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    return _with_body(answer, orjson.dumps(_in_zone(orjson.loads(answer.body), fault.text or "")))


def _in_zone(body: Any, zone: str) -> Any:
    if isinstance(body, list):
        return [_in_zone(one, zone) for one in cast("list[Any]", body)]
    if isinstance(body, dict):
        members = cast("Json", body).items()
        return {name: zone if name == "timeZone" else _in_zone(value, zone) for name, value in members}
    return body


def _merged(held: Any, change: Any) -> Any:
    """Objects member by member, anything else replaced."""
    whole, part = is_object(held), is_object(change)
    if whole is None or part is None:
        return change
    return whole | {name: _merged(whole.get(name), value) for name, value in part.items()}


# -- its rows


def _half_list(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    return _with_rows(answer, lambda rows: rows[: len(rows) // 2])


def _empty_list(_: Fault, answer: SandboxAnswer, __: int) -> SandboxAnswer:
    return _with_rows(answer, lambda _: [])


def _repeated_row(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    return _with_rows(answer, lambda rows: [*rows, *(rows[index] for index in _chosen(fault, rows))])


def _malformed_row(fault: Fault, answer: SandboxAnswer, _: int) -> SandboxAnswer:
    def change(rows: list[Any]) -> list[Any]:
        chosen = set(_chosen(fault, rows))
        return [_merged(row, fault.set) if index in chosen else row for index, row in enumerate(rows)]

    return _with_rows(answer, change)


def _chosen(fault: Fault, rows: list[Any]) -> list[int]:
    if fault.where:
        return [index for index, row in enumerate(rows) if (is_object(row) or {}).items() >= fault.where.items()]
    return [fault.row % len(rows)] if rows and -len(rows) <= fault.row < len(rows) else []


def _with_rows(answer: SandboxAnswer, change: Callable[[list[Any]], list[Any]]) -> SandboxAnswer:
    """Rows are a list as `data`, the starts of each day of slots, or the one object of a read."""
    body = orjson.loads(answer.body or b"null")
    data = (is_object(body) or {}).get("data")
    rows, members = is_list(data), is_object(data) or {}
    days = {day: starts for day, value in members.items() if (starts := is_list(value)) is not None}
    if rows is not None:
        found: Any = change(rows)
    elif days and len(days) == len(members):
        found = {day: left for day, starts in days.items() if (left := change(starts))}
    elif members and (left := change([members])):
        found = left[0]
    else:
        return answer
    return _with_body(answer, orjson.dumps({**body, "data": found}))


# -- the headers


def _date_header(fault: Fault, answer: SandboxAnswer, now_ms: int) -> SandboxAnswer:
    text = http_date(now_ms + round(fault.seconds * SECOND_MS)) if fault.text is None else fault.text
    put_headers(answer, {"Date": text})
    return answer


def _with_body(answer: SandboxAnswer, body: bytes, status: int | None = None) -> SandboxAnswer:
    headers = [held for held in answer.headers if held[0] != "ETag"]
    changed = SandboxAnswer(answer.status if status is None else status, body, answer.content_type, headers)
    put_headers(changed, {"Content-Length": str(len(body))})
    return changed


_SPOILING: Final[dict[str, Spoiling]] = {
    "truncate": _truncate,
    "malformed": _malformed,
    "empty_body": _empty_body,
    "content_type": _content_type,
    "fail_after_create": _fail_after_create,
    "huge_body": _huge_body,
    "gzip_bomb": _gzip_bomb,
    "gzip_truncated": _gzip_truncated,
    "bent_body": _bent_body,
    "time_zone": _time_zone,
    "half_list": _half_list,
    "empty_list": _empty_list,
    "repeated_row": _repeated_row,
    "malformed_row": _malformed_row,
    "date_header": _date_header,
}

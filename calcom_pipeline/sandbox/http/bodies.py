"""Reading a request's body and query as Express does: JSON, forms, their limits and their errors."""

import gzip
import re
import zlib
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson

from calcom_pipeline.sandbox.core.errors import Bare, bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.http.json_errors import complaint, unexpected_token

BODY_LIMIT_BYTES = 100 * 1024  # body-parser's default "100kb"
_LARGEST_IN_DIGITS = 1e21  # JavaScript writes larger numbers with an exponent
QUERY_LIMIT = 1_000  # qs reads that many parameters and no more
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_UNKNOWN_KEYS = frozenset({"__proto__", "constructor", "prototype"})


def read_body(raw: bytes, content_type: str, encoding: str) -> Any:
    """The parsed body. A body of another type than JSON or a form is no body: `{}`."""
    if not raw:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"application/json", "application/x-www-form-urlencoded"}:
        return {}
    plain = _inflate(raw, encoding.strip().lower())
    if len(plain) > BODY_LIMIT_BYTES:
        raise Bare(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request entity too large")
    if kind == "application/x-www-form-urlencoded":
        return read_query(plain.decode("utf-8", "replace"))
    return _read_json(plain)


def _inflate(raw: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return raw
    if encoding not in {"gzip", "deflate"}:
        raise Bare(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'unsupported content encoding "{encoding}"')
    window = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS
    try:
        return zlib.decompressobj(window).decompress(raw, BODY_LIMIT_BYTES + 1)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise Bare(HTTPStatus.BAD_REQUEST, "incorrect header check") from error


def _read_json(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace").lstrip("\ufeff")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if text[start : start + 1] not in ("{", "["):  # body-parser is strict: objects and arrays only
        raise bad_request(unexpected_token(text, start))
    try:
        return _with_whole_numbers(orjson.loads(text.encode("utf-8", "surrogatepass")))
    except orjson.JSONDecodeError as error:
        # Guess: what V8 reads and this parser does not (an endless number, half a surrogate) is refused as well.
        raise bad_request(complaint(text) or unexpected_token(text, error.pos)) from error


def _with_whole_numbers(body: Any) -> Any:
    """JavaScript has one kind of number: `30.0` is 30, and is answered so."""
    containers: list[Any] = [body]
    while containers:
        held = containers.pop()
        members = is_object(held)
        items: list[tuple[Any, Any]] = list(enumerate(is_list(held) or ()) if members is None else members.items())
        for place, value in items:
            if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_IN_DIGITS:
                held[place] = int(value)
            elif isinstance(value, (dict, list)):
                containers.append(value)
    return body


def read_query(text: str) -> Json:
    """A query as qs reads it: repeated names become lists, `a[b]=` an object, `a[]=` a list."""
    found: Json = {}
    for index, (name, value) in enumerate(parse_qsl(text, keep_blank_values=True, errors="replace")):
        if index >= QUERY_LIMIT:
            break
        _put(found, name, value)
    return found


def _put(found: Json, name: str, value: str) -> None:
    base, parts = name.partition("[")[0], _BRACKET.findall(name)
    if not base or base in _UNKNOWN_KEYS:
        return
    if not parts:
        held = found.get(base)
        found[base] = value if held is None else [*_as_list(held), value]
    elif parts[0] == "" or parts[0].isdigit():
        found[base] = [*_as_list(found.get(base)), value]
    else:
        held = found.get(base)
        inner: Json = cast("Json", held) if isinstance(held, dict) else {}
        _put(inner, parts[0], value)
        found[base] = inner


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]

"""Recorded things, spoilt: JSON with a value exchanged, taken away or doubled, and bytes that are no JSON any more."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**53, 2**63, 10**30, -0.0, 1.5, "", " ", "\x00", "\ud7ff", "x" * 300, "NaN",
    "9999-12-31", "0001-01-01T00:00:00+14:00", "2026-02-30T25:00:00Z", "Mars/Olympus", [], {}, [[]], {"": None},
    ["\x00"],
]  # fmt: skip
_BYTES = [b"\x00", b"\xff", b"{", b"]", b'"', b",", b"\\u0000", b"1e999", b"NaN"]

Path = tuple[int | str, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a value has others in it, itself included."""
    yield path
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, recorded: Any) -> bytes:
    """A recorded JSON value as bytes, with one to three things wrong with it, or nothing."""
    value = copy.deepcopy(recorded)
    for _ in range(draw(st.integers(0, 3))):
        value = _changed(draw, value)
    raw = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)):
        return raw
    at = draw(st.integers(0, len(raw)))
    return draw(st.sampled_from([raw[:at], raw[:at] + draw(st.sampled_from(_BYTES)) + raw[at:], raw[at:]]))


def _changed(draw: st.DrawFn, value: Any) -> Any:
    path = draw(st.sampled_from(list(places(value))))
    if not path:
        return draw(st.sampled_from([*_ODD, value]))
    parent: Any = value
    for key in path[:-1]:
        parent = parent[key]
    what = draw(st.sampled_from(["odd", "odd", "odd", "gone", "doubled"]))
    if what == "gone":
        del parent[path[-1]]
    elif what == "doubled" and isinstance(path[-1], int):
        parent.append(copy.deepcopy(parent[path[-1]]))
    else:
        parent[path[-1]] = draw(st.sampled_from(_ODD))
    return value

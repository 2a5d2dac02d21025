"""The mirror of bookings beside what Cal.com shows, booking by booking and field by field."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
import requests

Bookings = dict[str, dict[str, Any]]
#: What the mirror holds as being there, and whether it is somebody else's own affair, kept as a busy time alone.
HELD: Final = "SELECT raw::text, is_private FROM bookings WHERE deleted_at IS NULL AND out_of_scope_at IS NULL"
_PAGE = 250
_NAMED = 3
_BUSY = "kept as a busy time"
_OF_PEOPLE = {"hosts", "attendees", _BUSY}


def shown(url: str, key: str) -> Bookings:
    """All bookings by uid, as Cal.com shows them to that key."""
    headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-08-13"}
    found: Bookings = {}
    skip, total = 0, 1
    while skip < total:
        query = {"sortCreated": "asc", "take": _PAGE, "skip": skip}
        answer = requests.get(f"{url}/bookings", params=query, headers=headers, timeout=30).json()
        found |= {row["uid"]: row for row in answer["data"]}
        total, skip = answer["pagination"]["totalItems"], skip + _PAGE
    return found


def mirrored(rows: Iterable[tuple[str, bool]]) -> Bookings:
    """The same out of rows of `HELD`."""
    found = [orjson.loads(raw) | ({_BUSY: True} if is_private else {}) for raw, is_private in rows]
    return {row["uid"]: row for row in found}


def _same(there: dict[str, Any], here: dict[str, Any]) -> bool:
    """Of a busy time only what it keeps is compared, people left out."""
    if _BUSY in here:
        return all(there[name] == value for name, value in here.items() if name not in _OF_PEOPLE)
    return there == here


def differences(there: Bookings, here: Bookings) -> Iterator[str]:
    """In sentences; none if both are the same."""
    both = there.keys() & here.keys()
    wrong = {
        "missing": there.keys() - here.keys(),
        "too many": here.keys() - there.keys(),
        "outdated": {uid for uid in both if not _same(there[uid], here[uid])},
    }
    for how, uids in wrong.items():
        if uids:
            fields = {name for uid in uids & both for name in there[uid] if there[uid][name] != here[uid].get(name)}
            yield f"bookings: {len(uids)} {how}, {sorted(uids)[:_NAMED]} {sorted(fields)}"

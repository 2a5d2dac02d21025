"""Proving that bookings which no listing shows any more are deleted, or that the key just no longer sees them.

A 404 alone proves nothing: a wrong address and a gateway answer that too. A booking counts as deleted when its own
read is a 404 while the key's user and a sibling can still be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.bookings.ports import BookingApi, BookingMirror
from calcom_pipeline.app.calls import AccountApi
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery, Listing
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import NotFound

_SIBLINGS_TRIED = 3


class ProofSource(BookingApi, AccountApi, Protocol):
    """What a proof asks of Cal.com."""


@dataclass(frozen=True, slots=True)
class Proven:
    """How many were deleted, are out of the key's sight, are shown after all; and why the rest stands open."""

    gone: int = 0
    out_of_scope: int = 0
    shown: int = 0
    open: int = 0
    why_open: str = ""


def prove_missing(
    calcom: ProofSource,
    mirror: BookingMirror,
    listings: Sequence[Listing],
    *,
    limit: int,
    now: Callable[[], datetime],
) -> Proven:
    """Settle up to `limit` bookings that no listing shows: one call each that is deleted, two and more else."""
    missing = mirror.unlisted(limit + 1)
    absent: list[tuple[str, datetime]] = []
    out_of_scope = shown = 0
    for uid in missing[:limit]:
        asked_at = now()
        try:
            calcom.booking(uid)
        except NotFound:
            absent.append((uid, asked_at))
            continue
        if _is_shown(calcom, mirror, listings, uid):
            shown += 1
        else:
            mirror.mark_out_of_scope(uid, read_at=asked_at)
            out_of_scope += 1
    doubt = why_absence_proves_nothing(calcom, mirror, listings) if absent else ""
    if doubt:
        return Proven(0, out_of_scope, shown, len(absent), doubt)
    for uid, asked_at in absent:
        mirror.mark_gone(uid, read_at=asked_at)
    more = len(missing) > limit
    return Proven(len(absent), out_of_scope, shown, int(more), f"only {limit} are proven in one run" if more else "")


def reread_known_now(calcom: ProofSource, mirror: BookingMirror, now: Callable[[], datetime]) -> int:
    """Read bookings again that were taken for a team member's private ones before their event type was known as ours.

    A call each, and none as long as the event types that are ours have not changed. How many were read.
    """
    uids = mirror.reclassify()
    for uid in uids:
        asked_at = now()
        try:
            found = calcom.booking(uid)
        except NotFound:
            continue
        if isinstance(found, Booking):
            mirror.store(BookingPage([found], [], asked_at, asked_at), listing=MINE)
    return len(uids)


def _is_shown(calcom: ProofSource, mirror: BookingMirror, listings: Sequence[Listing], uid: str) -> bool:
    """Whether some listing shows the booking after all; then it is stored as that listing's."""
    found = False
    for listing in listings:
        page = calcom.page(BookingQuery(listing, sort="start", uid=uid, take=1))
        if any(keys.uid == uid for keys in page.keys):
            mirror.store(page, listing=listing)
            found = True
    return found


def why_absence_proves_nothing(calcom: ProofSource, mirror: BookingMirror, listings: Sequence[Listing]) -> str:
    """Why a 404 proves nothing now; empty if it does. Two calls as a rule."""
    calcom.me()
    siblings = mirror.listed(_SIBLINGS_TRIED)
    for uid in siblings:
        try:
            calcom.booking(uid)
        except NotFound:
            continue
        return ""
    if not siblings and all(_is_empty(calcom, listing) for listing in listings):
        return ""
    return "no other booking could be read by its uid either"


def _is_empty(calcom: ProofSource, listing: Listing) -> bool:
    page = calcom.page(BookingQuery(listing, sort="start", take=1))
    return page.rows == 0 and page.total == 0

"""Whether the mirror of bookings holds all that Cal.com has."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from calcom_pipeline.app.bookings.ports import BookingApi, BookingMirror
from calcom_pipeline.domain.bookings.listing import MINE, BookingQuery
from calcom_pipeline.domain.errors import CalcomError
from calcom_pipeline.domain.reasons import NO_REASON, Reason


class UnreadRow(Protocol):
    """A row of any list that could not be read."""

    @property
    def stream(self) -> str:
        """Which list it stood in."""
        ...

    @property
    def reason(self) -> str:
        """Why it could not be read."""
        ...


@dataclass(frozen=True, slots=True)
class MirrorNow:
    """Bookings `here` and at Cal.com (`there`: None where it tells no number, or need not be the same).

    `unread` counts rows of all lists that wait in quarantine, by list and reason; `unasked` says why Cal.com was not
    asked.
    """

    here: int
    there: int | None = None
    unread: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    unasked: Reason = NO_REASON

    @property
    def is_complete(self) -> bool:
        """Nothing is known to be missing, and it could be looked at."""
        return not self.unasked and not self.unread and (self.there is None or self.there == self.here)


def mirror_now(
    calcom: BookingApi, mirror: BookingMirror, quarantined: Iterable[UnreadRow], *, keeps_all: bool
) -> MirrorNow:
    """Count on both sides: one call, without a time filter, since only there can Cal.com's count be trusted.

    The fact sheet 6.2 tells of that. `keeps_all`: False where old bookings are dropped here, so that numbers differ.
    """
    unread = Counter((row.stream, row.reason) for row in quarantined)
    here = mirror.live(MINE)
    if not keeps_all:
        return MirrorNow(here, unread=unread)
    try:
        there = calcom.page(BookingQuery(MINE, sort="start", take=1)).total
    except CalcomError as error:
        return MirrorNow(here, unread=unread, unasked=Reason.of(error))
    return MirrorNow(here, there, unread)

"""Has any booking changed? One call, for a sensor that decides whether a read is worth while."""

from datetime import datetime, timedelta

from calcom_pipeline.booking_ports import BookingApi
from calcom_pipeline.domain.bookings import BookingQuery

_TAKE = 250
# Filters have milliseconds and are inclusive on both sides (fact sheet 6.1).
_NEXT = timedelta(milliseconds=1)
# A row stamped in the year 9999 would be the newest for ever.
_TOLERATED_AHEAD = timedelta(hours=1)


def newest_change(calcom: BookingApi, *, after: datetime, now: datetime) -> datetime | None:
    """The newest update time past `after`, among the first page of changes; None when nothing changed. UTC."""
    page = calcom.page(
        BookingQuery(
            sort="updatedAt", after_updated_at=after + _NEXT, before_updated_at=now + _TOLERATED_AHEAD, take=_TAKE
        )
    )
    return max((b.updated_at for b in page.bookings if b.updated_at is not None), default=None)

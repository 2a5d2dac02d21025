"""Has any booking changed? One call, for a sensor that decides whether a read is worth while."""

from datetime import datetime, timedelta

from calcom_pipeline.app.bookings.ports import BookingApi
from calcom_pipeline.domain.bookings.listing import BookingQuery

_TAKE = 250
# Filters have milliseconds and are inclusive on both sides (fact sheet 6.1).
_NEXT = timedelta(milliseconds=1)
#: A row stamped in the year 9999 would be the newest for ever. Clocks differ by less; and until such a row's time has
#: come, bookings are read by the schedule, every five minutes.
TOLERATED_AHEAD = timedelta(minutes=5)


def newest_change(calcom: BookingApi, *, after: datetime, now: datetime) -> datetime | None:
    """The newest update time past `after`, among the first page of changes; None when nothing changed. UTC.

    Records that cannot be read are changes too: somebody may have mended one.
    """
    page = calcom.page(
        BookingQuery(
            sort="updatedAt", after_updated_at=after + _NEXT, before_updated_at=now + TOLERATED_AHEAD, take=_TAKE
        )
    )
    return max((keys.updated_at for keys in page.keys if keys.updated_at is not None), default=None)

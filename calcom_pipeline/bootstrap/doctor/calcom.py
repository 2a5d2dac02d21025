"""The doctor's looks at Cal.com: the key, what it sees, each version of the API that is used. A call or two each."""

from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.bookings.listing import BookingQuery

if TYPE_CHECKING:
    from calcom_pipeline.adapters.calcom.client import CalcomClient

_LONGEST_LOOK_SECONDS = 30.0
# Past this, `Date` headers and our own instants disagree by more than a booking page's overlap tolerates well.
_SKEW_SECONDS = 5.0


def asked(container: Container) -> "CalcomClient":
    """Somebody waits for the answer, so no look waits out a whole block."""
    return container.calcom.in_lane("interactive").within(_LONGEST_LOOK_SECONDS)


def key(container: Container) -> str:
    """Whose key it is."""
    me = asked(container).me()
    where = "the local sandbox" if container.endpoints.is_sandbox else container.endpoints.base_url
    return f"user {me.user_id} ({me.username}), zone {me.time_zone}, at {where}"


def scope(container: Container) -> str:
    """The teams that are read."""
    teams = container.event_types.teams.of(asked(container).teams())
    return f"{len(teams)} teams: {', '.join(t.slug or str(t.id) for t in teams)}" if teams else "no team"


def event_types(container: Container) -> str:
    """Whether event types can be read."""
    return f"{len(asked(container).list_personal())} personal event types read"


def slots(container: Container) -> str:
    """Whether free starts can be read."""
    bookable = [e for e in asked(container).list_personal() if not e.is_managed_parent]
    if not bookable:
        return "note: there is no event type to ask free times of"
    first, today = bookable[0], utc_now().date()
    query = SlotQuery(
        first.id, first.duration_minutes, "UTC", today, today, choose_duration=bool(first.duration_options)
    )
    days = asked(container).free_days(query)
    return f"{sum(len(day.free) for day in days)} free starts of event type {first.id} today"


def bookings(container: Container) -> str:
    """Whether bookings can be read."""
    page = asked(container).page(BookingQuery(sort="createdAt", take=1))
    return f"read with {container.settings.bookings_version}, {page.rows} of the first row"


def clock(container: Container) -> str:
    """How far this clock and Cal.com's differ."""
    page = asked(container).page(BookingQuery(sort="createdAt", take=1))
    skew = (page.sent_at - page.answered_at).total_seconds()
    if abs(skew) > _SKEW_SECONDS:
        return f"note: this clock is {skew:+.0f} s off Cal.com's; set it by NTP"
    return f"this clock and Cal.com's agree to {_SKEW_SECONDS:.0f} s"


def limit(container: Container) -> str:
    """What Cal.com grants, against what is set."""
    answered_limit, ours = container.calcom.limit_seen(), container.settings.rate_limit_per_minute
    if answered_limit is None:
        return "note: Cal.com named no limit; a self-hosted server may have none"
    if answered_limit < ours:
        return f"note: Cal.com grants {answered_limit} a window, CALCOM_RATE_LIMIT_PER_MINUTE says {ours}: lower it"
    if answered_limit > ours:
        return f"note: Cal.com grants {answered_limit} a window, only {ours} are used (CALCOM_RATE_LIMIT_PER_MINUTE)"
    return f"{answered_limit} requests a window, as set"

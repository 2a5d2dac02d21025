"""The client: all endpoint groups over one transport, and how it is opened."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from calcom_pipeline.adapters.calcom.bookings.endpoints import BookingEndpoints
from calcom_pipeline.adapters.calcom.endpoint import ClientOptions, Context, Remembered
from calcom_pipeline.adapters.calcom.event_types.endpoints import EventTypeEndpoints
from calcom_pipeline.adapters.calcom.reservations import ReservationEndpoints
from calcom_pipeline.adapters.calcom.slots import SlotEndpoints, whole_days
from calcom_pipeline.adapters.calcom.transport.guard import Breaker, Limiter
from calcom_pipeline.adapters.calcom.transport.session import Transport, TransportOptions
from calcom_pipeline.adapters.calcom.webhooks import WebhookEndpoints
from calcom_pipeline.app.calls import Lane, Spent

__all__ = ["GROUPS", "CalcomClient", "ClientOptions", "open_calcom", "whole_days"]


class CalcomClient(BookingEndpoints, EventTypeEndpoints, SlotEndpoints, ReservationEndpoints, WebhookEndpoints):
    """All of Cal.com that the pipeline uses. One instance may be shared by threads."""

    def in_lane(self, lane: Lane) -> "CalcomClient":
        """The same client with another place in the limiter's queue."""
        return CalcomClient(replace(self._context, lane=lane))

    def within(self, seconds: float) -> "CalcomClient":
        """The same client, each of whose calls may take so long in all, waiting and retries included."""
        return CalcomClient(replace(self._context, deadline_seconds=seconds))

    def spent(self) -> Spent:
        """What this client has cost so far, in all its lanes."""
        return self._context.transport.spent()

    def limit_seen(self) -> int | None:
        """Requests per window that Cal.com named in its last answer; None when it names no limit."""
        return self._context.transport.limit_seen()

    def seconds_until_available(self) -> float:
        """About how long a call in this client's lane would wait for its turn now."""
        return self._context.transport.seconds_until_available(self._context.lane)


#: The names of all groups of endpoints: what has a circuit, and what calls are counted by.
GROUPS = tuple(dict.fromkeys(group.name for part in CalcomClient.__mro__ for group in vars(part).get("groups", ())))


@contextmanager
def open_calcom(
    *,
    base_url: str,
    api_key: str,
    limiter: Limiter,
    breaker: Breaker,
    client: ClientOptions,
    transport: TransportOptions,
) -> Generator[CalcomClient]:
    """A client that is open as long as the block."""
    opened = Transport(base_url=base_url, api_key=api_key, limiter=limiter, breaker=breaker, options=transport)
    try:
        yield CalcomClient(Context(opened, client, Remembered()))
    finally:
        opened.close()

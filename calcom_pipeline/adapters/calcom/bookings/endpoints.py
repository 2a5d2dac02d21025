"""Bookings: pages, single ones, and all that is done to them. Fact sheet section 6.

Every write sends webhooks inside its request, so all of them may be slow, and any of them may be done although its
answer never came.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

import orjson

from calcom_pipeline.adapters.calcom.bookings.bodies import carries_key, create_body, ignored_details
from calcom_pipeline.adapters.calcom.bookings.lists import instant, parameters_of, path_of
from calcom_pipeline.adapters.calcom.bookings.rows import booking_page, one_booking, replayed
from calcom_pipeline.adapters.calcom.endpoint import EndpointGroup
from calcom_pipeline.adapters.calcom.event_types.endpoints import EventTypeEndpoints
from calcom_pipeline.adapters.calcom.idempotent_create import AfterDoubt, ExactlyOnce, GraceRules, Made
from calcom_pipeline.adapters.calcom.me import AccountEndpoints
from calcom_pipeline.adapters.calcom.transport.messages import Answer, Kind
from calcom_pipeline.app.bookings.ports import Booked
from calcom_pipeline.domain.bookings.listing import BookingPage, BookingQuery, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.requests import BookingRequest
from calcom_pipeline.domain.errors import CalcomError, Conflict, ContractBroken, Exchange, Rejected
from calcom_pipeline.domain.event_types.models import EventType

GROUP = EndpointGroup("bookings", None)  # its version is a setting
_LOOK_ROWS = 100
# Looking for one booking among those of one event type at one time; more than this at once is another problem.
_MOST_LOOKS = 20
# Rows that may have moved to a later start while one page was read (fact sheet 11), without being behind the time.
_MOVED_AT_ONCE = 3
# Cancelling or confirming twice does no harm, so nothing is gained by waiting before the second time.
_AT_ONCE = GraceRules(grace_seconds=0.0)


class BookingEndpoints(EventTypeEndpoints, AccountEndpoints):
    """Reads and writes of bookings."""

    groups = (GROUP,)

    @property
    def _bookings(self) -> EndpointGroup:
        return replace(GROUP, version=self._context.options.bookings_version)

    # --- reads -------------------------------------------------------------------------------------------

    def page(self, query: BookingQuery) -> BookingPage:
        """One page of a listing of bookings."""
        answer = self._get(
            "Listing bookings",
            path_of(query.listing),
            group=self._bookings,
            params=parameters_of(query),
        )
        return booking_page(answer.content, answer.exchange, answered_at=answer.answered_at, sent_at=answer.sent_at)

    def booking(self, uid: str) -> Booking | Unreadable:
        """One booking, whoever may see it. Raises NotFound when there is none with this uid."""
        answer = self._get("Reading a booking", _path(uid), group=self._bookings)
        return one_booking(answer.content, uid, answer.exchange)

    def get_booking(self, uid: str) -> Booking:
        """The same for callers who have no use for one that cannot be read.

        Raises:
            NotFound: there is none with this uid.
            ContractBroken: it cannot be read.
        """
        found = self.booking(uid)
        if isinstance(found, Unreadable):
            raise ContractBroken(f"Reading a booking: {found.reason}")
        return found

    def find_booking(
        self, key: str, *, event_type_id: int, start: datetime, email: str | None = None
    ) -> Booking | None:
        """The booking that carries our key, among those of this event type (and attendee) from this start on."""
        params: dict[str, Any] = {"eventTypeId": event_type_id, "afterStart": instant(start), "sortStart": "asc"}
        if email and email.isascii() and email == email.lower():
            # Cal.com compares exactly (fact sheet 6.1), and may have stored another spelling of any other address.
            params["attendeeEmail"] = email
        for look in range(_MOST_LOOKS):
            page = self._looked(params | {"take": _LOOK_ROWS, "skip": look * _LOOK_ROWS})
            for row in page:
                if isinstance(row, Booking) and row.start == start and carries_key(row, key):
                    return row
            later = sum(isinstance(row, Booking) and row.start > start for row in page)
            if len(page) < _LOOK_ROWS or later > _MOVED_AT_ONCE:
                return None
        return None

    # --- writes ------------------------------------------------------------------------------------------

    def create_booking(self, request: BookingRequest) -> Booked:
        """Book, exactly once; see the port."""
        wanted = request.attendee.email

        def look() -> tuple[Booking, ...] | None:
            found = self.find_booking(
                request.key, event_type_id=request.event_type_id, start=request.start, email=wanted
            )
            return (found,) if found else None

        def create() -> Made[tuple[Booking, ...]]:
            return self._once(
                lambda: self._write("Booking", "/bookings", create_body(request), "create"),
                look,
                key=request.key,
                after_doubt=lambda: self._after_doubt(request.event_type_id),
            )

        made = _made_before(create, look) if request.may_come_twice else create()
        return _booked(made, request)

    def may_be_repeated(self, event_type_id: int) -> bool:
        """Whether a second create of a time can make no second booking; False where that cannot be found out."""
        return self._after_doubt(event_type_id) == "repeat"

    def cancel_booking(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Booking:
        """Cancel a booking, or one seat of it; a host has to give a reason."""
        body = {"cancellationReason": reason} if reason else {}
        if seat_uid is None:
            return self._made(uid, "cancel", body, "Cancelling a booking", lambda found: found.status == "cancelled")
        # A booking whose seat was cancelled stays accepted (fact sheet 6.6): whether it went, the other seats tell.
        body |= {"seatUid": seat_uid}
        return self._made(uid, "cancel", body, "Cancelling a seat", lambda found: _seat_is_gone(found, seat_uid))

    def confirm_booking(self, uid: str) -> Booking:
        """Accept a pending booking; of a series all pending occurrences (fact sheet 6.8)."""
        return self._made(uid, "confirm", {}, "Confirming a booking", lambda found: found.status == "accepted")

    def decline_booking(self, uid: str, *, reason: str = "") -> Booking:
        """Reject a pending booking; the reason is never shown again (fact sheet 6.8)."""
        body = {"reason": reason} if reason else {}
        return self._made(uid, "decline", body, "Declining a booking", lambda found: found.status == "rejected")

    def reschedule_booking(
        self, uid: str, start: datetime, *, reason: str = "", rescheduled_by: str | None = None
    ) -> Booked:
        """Move a booking: a new one with another uid takes its place, the old one is cancelled (fact sheet 6.7)."""
        body: dict[str, Any] = {"start": instant(start)}
        if reason:
            body["reschedulingReason"] = reason
        if rescheduled_by:
            body["rescheduledBy"] = rescheduled_by

        def look() -> tuple[Booking, ...] | None:
            successor = self.get_booking(uid).rescheduled_to_uid
            moved = self.get_booking(successor) if successor else None
            if moved is not None and moved.start != start:
                raise Conflict("Moving a booking: somebody else moved it to another time meanwhile")
            return (moved,) if moved else None

        made = self._once(
            lambda: self._write("Moving a booking", _path(uid, "reschedule"), body, "create"), look, key=uid
        )
        return Booked(made.value[0], made.value, made.adopted)

    # --- inside ------------------------------------------------------------------------------------------

    def _made(
        self, uid: str, verb: str, body: Mapping[str, Any], operation: str, is_done: Callable[[Booking], bool]
    ) -> Booking:
        """An action whose traces are known: after a doubt the booking itself shows whether it was done."""

        def look() -> tuple[Booking, ...] | None:
            found = self.get_booking(uid)
            return (found,) if is_done(found) else None

        act = lambda: self._write(operation, _path(uid, verb), body, "create")  # noqa: E731 - one line, used once
        return self._once(act, look, key=uid, rules=_AT_ONCE).value[0]

    def _once(
        self,
        create: Callable[[], tuple[Booking, ...]],
        look: Callable[[], tuple[Booking, ...] | None],
        *,
        key: str,
        rules: GraceRules | None = None,
        after_doubt: Callable[[], AfterDoubt] = lambda: "repeat",
    ) -> Made[tuple[Booking, ...]]:
        context = self._context
        once = ExactlyOnce(
            create,
            look,
            key=key,
            rules=rules or context.options.grace,
            sleep=context.sleep,
            clock=context.clock,
            after_doubt=after_doubt,
        )
        return once.run()

    def _after_doubt(self, event_type_id: int) -> AfterDoubt:
        """Only where a second create cannot make a second booking may there be one."""
        try:
            event_type = self.get_event_type(event_type_id)
        except CalcomError:
            return "look"
        return "repeat" if has_one_place(event_type) else "leave"

    def _looked(self, params: Mapping[str, Any]) -> list[Booking | Unreadable]:
        answer = self._get(
            "Looking for a booking",
            "/bookings",
            group=self._bookings,
            params=params,
        )
        page = booking_page(answer.content, answer.exchange, answered_at=answer.answered_at, sent_at=answer.sent_at)
        return [*page.bookings, *page.unreadable]

    def _write(self, operation: str, path: str, body: Mapping[str, Any], kind: Kind) -> tuple[Booking, ...]:
        answer = self._send(
            operation,
            "POST",
            path,
            group=self._bookings,
            kind=kind,
            body=body,
            slow=True,
        )
        return _bookings_of(answer)


def has_one_place(event_type: EventType) -> bool:
    """Seated and round-robin bookings can be made twice at one time, a series can be made in part."""
    return event_type.seats_per_slot is None and event_type.scheduling_type is None and not event_type.recurring


def _made_before(
    create: Callable[[], Made[tuple[Booking, ...]]], look: Callable[[], tuple[Booking, ...] | None]
) -> Made[tuple[Booking, ...]]:
    """A request that may have been made by an earlier call: looked for first, and again when its time is taken."""
    if found := look():
        return Made(found, adopted=True)
    try:
        return create()
    except Conflict:
        if found := look():
            return Made(found, adopted=True)
        raise


def _booked(made: Made[tuple[Booking, ...]], request: BookingRequest) -> Booked:
    first = made.value[0]
    # Instead of a second booking of one attendee at one time Cal.com answers the first (fact sheet 6.5): not ours.
    adopted = made.adopted or not carries_key(first, request.key)
    return Booked(first, made.value, adopted, ignored_details(request, first))


def _seat_is_gone(booking: Booking, seat_uid: str) -> bool:
    """An empty list proves nothing: the seats may be hidden from this key."""
    seats = {attendee.seat_uid for attendee in booking.attendees}
    return booking.status == "cancelled" or (bool(seats) and seat_uid not in seats)


def _path(uid: str, verb: str = "") -> str:
    return f"/bookings/{quote(uid, safe='')}" + (f"/{verb}" if verb else "")


def _bookings_of(answer: Answer) -> tuple[Booking, ...]:
    """One booking, or the occurrences of a series in their order."""
    data = answer.data()
    rows = cast("list[Any]", data) if isinstance(data, list) else [data]
    found = [replayed(orjson.dumps(row)) for row in rows]
    wrong = next((row for row in found if isinstance(row, Unreadable)), None)
    if wrong is not None or not found:
        reason = wrong.reason if wrong else "no booking"
        raise ContractBroken(f"{answer.exchange.operation}: the answer is {reason}", exchange=answer.exchange)
    bookings = tuple(row for row in found if isinstance(row, Booking))
    if bookings[0].id == 0:
        # What a blocked booker is shown (fact sheet 6.5): it looks like a booking and is none.
        exchange = Exchange(answer.exchange.operation, answer.exchange.status, answer.exchange.request_id)
        raise Rejected(f"{exchange.operation}: Cal.com blocks this booker", exchange=exchange)
    return bookings

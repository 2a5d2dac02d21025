"""Part `bookings`: making, reading, moving and cancelling, through the same guarded client as everybody.

A request that carries `Idempotency-Key` may come twice. For a booking the key goes with it to Cal.com and finds it
again; a move and a cancellation that were made already are known by what became of the booking.
"""

from typing import Any

from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import Conflict, NotFound, Rejected
from calcom_pipeline.web import answers, asked
from calcom_pipeline.web.operations import CheckedRequest, JsonReply, Operation, success
from calcom_pipeline.web.ports import Books
from calcom_pipeline.web.times import utc

_ONE = "/v2/bookings/{uid}"
_SECONDS_A_MINUTE = 60


class BookingsPart:
    """`/v2/bookings`."""

    def __init__(self, service: Books) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What this part offers."""
        return [self._making(), self._reading(), *self._changing()]

    def _making(self) -> Operation:
        return Operation(
            "book",
            "POST",
            "/v2/bookings",
            "Book, exactly once. The same Idempotency-Key, event type and start again find the same booking.",
            "bookings",
            self.book,
            answers.BookingAnswer,
            query=asked.IncludeQuery,
            body=asked.BookingBody,
            status=201,
            writes=True,
            keyed=True,
            problems=(404, 409),
        )

    def _reading(self) -> Operation:
        return Operation(
            "booking",
            "GET",
            _ONE,
            "A booking as it is now; nobody is named unless asked for.",
            "bookings",
            self.booking,
            answers.BookingAnswer,
            query=asked.IncludeQuery,
            addressed=asked.UidPath,
            problems=(404,),
        )

    def _changing(self) -> list[Operation]:
        return [
            Operation(
                "move",
                "POST",
                f"{_ONE}/reschedule",
                "Move a booking: a new one with another uid takes its place.",
                "bookings",
                self.move,
                answers.BookingAnswer,
                query=asked.IncludeQuery,
                body=asked.MoveBody,
                addressed=asked.UidPath,
                status=201,
                writes=True,
                keyed=True,
                problems=(404, 409),
            ),
            Operation(
                "cancel",
                "POST",
                f"{_ONE}/cancel",
                "Cancel a booking, or one seat of it.",
                "bookings",
                self.cancel,
                answers.BookingAnswer,
                query=asked.IncludeQuery,
                body=asked.CancelBody,
                addressed=asked.UidPath,
                writes=True,
                keyed=True,
                problems=(404, 409),
            ),
        ]

    def book(self, call: CheckedRequest) -> JsonReply:
        """Book."""
        body: asked.BookingBody = call.body
        return _reply(self._service.book(body.details(), key=call.key).booking, call)

    def booking(self, call: CheckedRequest) -> JsonReply:
        """Read."""
        return _reply(self._service.get_booking(call.uid), call)

    def move(self, call: CheckedRequest) -> JsonReply:
        """Move; once for a key."""
        body: asked.MoveBody = call.body
        if call.keyed and (moved := self._moved(call.uid, body)) is not None:
            return _reply(moved, call)
        return _reply(self._service.reschedule(call.uid, body.start, reason=body.reschedulingReason).booking, call)

    def cancel(self, call: CheckedRequest) -> JsonReply:
        """Cancel; once for a key."""
        body: asked.CancelBody = call.body
        try:
            made = self._service.cancel(call.uid, reason=body.cancellationReason, seat_uid=body.seatUid)
        except (Rejected, Conflict, NotFound):
            if not call.keyed:
                raise
            found = self._service.get_booking(call.uid)
            seats = {attendee.seat_uid for attendee in found.attendees}
            if found.status != "cancelled" and (body.seatUid is None or body.seatUid in seats):
                raise
            return _reply(found, call)
        return _reply(made.booking, call)

    def _moved(self, uid: str, body: asked.MoveBody) -> Booking | None:
        """The booking that an earlier call with this key made, if it was moved there."""
        successor = self._service.get_booking(uid).rescheduled_to_uid
        if successor is None:
            return None
        moved = self._service.get_booking(successor)
        return moved if moved.start == body.start else None


def _reply(booking: Booking, call: CheckedRequest) -> JsonReply:
    query: asked.IncludeQuery = call.query
    shown: dict[str, Any] = {
        "uid": booking.uid,
        "id": booking.id,
        "status": booking.status,
        "start": utc(booking.start),
        "end": utc(booking.end),
        "duration": round((booking.end - booking.start).total_seconds() / _SECONDS_A_MINUTE),
        "eventTypeId": booking.event_type_id,
        "rescheduledFromUid": booking.rescheduled_from_uid,
        "rescheduledToUid": booking.rescheduled_to_uid,
    }
    if query.include == "attendees":  # a title names who booked, a location may be their address
        shown |= {
            "title": booking.title,
            "location": booking.location,
            "attendees": [
                {
                    "name": one.name,
                    "email": one.email,
                    "phoneNumber": one.phone_number,
                    "timeZone": one.time_zone,
                    "language": one.language,
                }
                for one in booking.attendees
            ],
        }
    return JsonReply(success(shown))

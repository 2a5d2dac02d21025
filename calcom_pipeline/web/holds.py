"""Part `holds`: keeping a start while somebody fills in a form, as Cal.com's slot reservations."""

from typing import Any

from calcom_pipeline.web import answers, asked
from calcom_pipeline.web.operations import CheckedRequest, JsonReply, Operation, success
from calcom_pipeline.web.ports import HeldStart, HoldsStarts
from calcom_pipeline.web.times import utc

_ONE = "/v2/slots/reservations/{uid}"
_SECONDS_A_MINUTE = 60


class HoldsPart:
    """`/v2/slots/reservations`."""

    def __init__(self, service: HoldsStarts) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What this part offers."""
        return [
            Operation(
                "hold",
                "POST",
                "/v2/slots/reservations",
                "Hold a start for some minutes.",
                "holds",
                self.hold,
                answers.HoldAnswer,
                body=asked.HoldBody,
                status=201,
                writes=True,
                problems=(404, 409),
            ),
            Operation(
                "held",
                "GET",
                _ONE,
                "A hold; data is null once it has ended.",
                "holds",
                self.held,
                answers.HoldAnswer,
                addressed=asked.UidPath,
            ),
            Operation(
                "release",
                "DELETE",
                _ONE,
                "Let a hold go; one that has ended is no error.",
                "holds",
                self.release,
                answers.DoneAnswer,
                addressed=asked.UidPath,
                writes=True,
                problems=(404,),
            ),
        ]

    def hold(self, call: CheckedRequest) -> JsonReply:
        """Hold."""
        body: asked.HoldBody = call.body
        held = self._service.hold(
            body.eventTypeId,
            body.slotStart,
            minutes=body.reservationDuration,
            duration_minutes=body.slotDuration,
        )
        return JsonReply(success(_body(held)))

    def held(self, call: CheckedRequest) -> JsonReply:
        """Look."""
        held = self._service.held(call.uid)
        return JsonReply(success(None if held is None else _body(held)))

    def release(self, call: CheckedRequest) -> JsonReply:
        """Let go."""
        self._service.release(call.uid)
        return JsonReply(success())


def _body(held: HeldStart) -> dict[str, Any]:
    return {
        "reservationUid": held.uid,
        "eventTypeId": held.event_type_id,
        "slotStart": utc(held.start),
        "slotEnd": utc(held.end),
        "slotDuration": round((held.end - held.start).total_seconds() / _SECONDS_A_MINUTE),
        "reservationUntil": utc(held.until),
    }

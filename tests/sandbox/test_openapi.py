"""Every operation of the OpenAPI document is asked once; whatever it answers must fit its schema."""

from collections.abc import Iterator
from typing import Any

import pytest

from calcom_pipeline.sandbox.testing import serve_sandbox
from tests.sandbox import openapi
from tests.sandbox.accounts import BEN, KEYS, ORGANIZATION, TEAM, write
from tests.sandbox.conftest import NOW
from tests.sandbox.talking import NEW_BOOKINGS, Reply, Talker

pytestmark = pytest.mark.skipif(not openapi.DOCUMENT.exists(), reason="the OpenAPI document is not beside the checkout")
_MONDAY = "2026-11-23"
_HOOK = {"active": True, "triggers": ["BOOKING_CREATED"]}


class Tour(Talker):
    """Notes which operations of the document were answered with success."""

    def ask(self, method: str, path: str, *given: Any, **options: Any) -> Reply:
        reply = super().ask(method, path, *given, **options)
        if reply.status < 300:
            full = path if path.startswith("/v2") else f"/v2{path}"
            self.visited.add(openapi.operation_of(method, full))
        else:
            self.refused.append(f"{method} {path}: {reply.status} {reply.raw[:300]!r}")
        return reply

    visited: set[tuple[str, str] | None]
    refused: list[str]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    account = str(write(tmp_path_factory.mktemp("account")))
    with serve_sandbox(account, now=NOW, limit=100_000, in_thread=True) as running:
        talker = Tour(running, key=KEYS["ada"])
        talker.visited, talker.refused = set(), []
        yield talker
        talker.close()


def _event_types(tour: Tour, path: str, **more: Any) -> int:
    tour.get(path)
    made = tour.post(path, {"lengthInMinutes": 30, "title": "Made", "slug": f"made-{len(tour.visited)}", **more}).data
    event_type_id = made["id"]
    tour.get(f"{path}/{event_type_id}")
    tour.patch(f"{path}/{event_type_id}", {"title": "Renamed", "bookingLimitsCount": {"day": 5}})
    return event_type_id


def _webhooks(tour: Tour, path: str, *, whole: bool) -> None:
    webhook_id = tour.post(path, {"subscriberUrl": f"https://example.net{path}", **_HOOK}).data["id"]
    tour.get(path)
    tour.get(f"{path}/{webhook_id}")
    tour.patch(f"{path}/{webhook_id}", {"active": False})
    tour.delete(f"{path}/{webhook_id}")
    if whole:
        tour.delete(path)


def _bookings(tour: Tour) -> None:
    uid = tour.booked(1, f"{_MONDAY}T08:00:00Z")["uid"]
    tour.get("/bookings")
    tour.get(f"/bookings/{uid}")
    tour.post(f"/bookings/{uid}/guests", {"guests": [{"email": "gus@example.org"}]})
    tour.patch(f"/bookings/{uid}/location", {"location": {"type": "address", "address": "Lane 2"}})
    attendee = {"name": "Dee", "email": "dee@example.org", "timeZone": "Europe/Vienna"}
    attendee_id = tour.post(f"/bookings/{uid}/attendees", attendee).data["id"]
    tour.get(f"/bookings/{uid}/attendees")
    tour.get(f"/bookings/{uid}/attendees/{attendee_id}")
    tour.delete(f"/bookings/{uid}/attendees/{attendee_id}")
    moved = tour.post(
        f"/bookings/{uid}/reschedule", {"start": f"{_MONDAY}T09:00:00Z", "reschedulingReason": "rain"}
    ).data
    tour.post(f"/bookings/{moved['uid']}/cancel", {"cancellationReason": "snow"})
    tour.get("/bookings", status="cancelled", take=1)


def _lives_of_bookings(tour: Tour) -> None:
    confirming = tour.create_type(
        slug="confirming", confirmationPolicy={"type": "always", "blockUnconfirmedBookingsInBooker": True}
    )
    for hour, action in (("10", "confirm"), ("11", "decline")):
        uid = tour.booked(confirming["id"], f"{_MONDAY}T{hour}:00:00Z")["uid"]
        tour.post(f"/bookings/{uid}/{action}")
    asked = tour.booked(1, f"{_MONDAY}T12:00:00Z")["uid"]
    reply = tour.post(f"/bookings/{asked}/request-reschedule", {"rescheduleReason": "ill"}, version=NEW_BOOKINGS)
    assert openapi.complaints("POST", f"/v2/bookings/{asked}/request-reschedule", reply.status, reply.body) == []
    seats = {"seatsPerTimeSlot": 3, "showAttendeeInfo": True, "showAvailabilityCount": True}
    seated = tour.create_type(slug="seated", seats=seats)["id"]
    first = tour.booked(seated, f"{_MONDAY}T13:00:00Z")
    tour.booked(seated, f"{_MONDAY}T13:00:00Z", "Dora")
    tour.get(f"/bookings/by-seat/{first['seatUid']}")
    tour.get(f"/bookings/{first['uid']}")
    tour.get("/slots", eventTypeId=seated, start=_MONDAY, end=_MONDAY, format="range")
    series = tour.create_type(slug="series", recurrence={"interval": 1, "occurrences": 3, "frequency": "weekly"})
    made = tour.booked(series["id"], f"{_MONDAY}T14:00:00Z")
    tour.get(f"/bookings/{made[0]['recurringBookingUid']}")
    shared = tour.booked(2, f"{_MONDAY}T15:00:00Z")
    tour.post(f"/bookings/{shared['uid']}/reassign")
    tour.post(f"/bookings/{shared['uid']}/reassign/{BEN}", {"reason": "holiday"})
    tour.control.set_clock(f"{_MONDAY}T15:30:00Z")
    tour.post(
        f"/bookings/{shared['uid']}/mark-absent",
        {"host": True, "attendees": [{"email": "carol@example.org", "absent": True}]},
    )
    tour.control.set_clock(NOW)


def _slots(tour: Tour) -> None:
    tour.get("/slots", eventTypeId=1, start=_MONDAY, end=_MONDAY)
    body = {"eventTypeId": 1, "slotStart": "2026-11-24T08:00:00Z"}
    uid = tour.post("/slots/reservations", body).data["reservationUid"]
    tour.get(f"/slots/reservations/{uid}")
    tour.patch(f"/slots/reservations/{uid}", body | {"slotStart": "2026-11-24T10:00:00Z"})
    tour.delete(f"/slots/reservations/{uid}")
    tour.get(f"/slots/reservations/{uid}")


def _teams(tour: Tour) -> None:
    kinds = {"schedulingType": "collective", "hosts": [{"userId": BEN}]}
    for path in (f"/teams/{TEAM}", f"/organizations/{ORGANIZATION}/teams/{TEAM}"):
        made = _event_types(tour, f"{path}/event-types", **kinds)
        tour.get(f"{path}/bookings")
        if path.startswith("/teams"):
            _webhooks(tour, f"{path}/event-types/{made}/webhooks", whole=True)
        tour.delete(f"{path}/event-types/{made}")
    managed = {
        "schedulingType": "managed",
        "hosts": [{"userId": BEN}],
        "lengthInMinutes": 20,
        "title": "M",
        "slug": "managed",
    }
    assert tour.post(f"/teams/{TEAM}/event-types", managed).data[0]["parentEventTypeId"] is None
    tour.get(f"/organizations/{ORGANIZATION}/teams/event-types", take=1)
    tour.get(f"/organizations/{ORGANIZATION}/bookings", userIds=str(BEN))
    tour.get(f"/organizations/{ORGANIZATION}/users/{BEN}/bookings")


def test_every_operation_of_the_document_answers_as_it_says(tour: Tour) -> None:
    own = _event_types(tour, "/event-types")
    _webhooks(tour, f"/event-types/{own}/webhooks", whole=True)
    tour.delete(f"/event-types/{own}")
    _bookings(tour)
    _lives_of_bookings(tour)
    _slots(tour)
    _teams(tour)
    _webhooks(tour, "/webhooks", whole=False)
    _webhooks(tour, f"/organizations/{ORGANIZATION}/webhooks", whole=False)
    assert tour.refused == []
    assert tour.complaints == []
    assert set(openapi.operations()) - tour.visited == set()
    assert tour.control.counters()["crashes"] == 0

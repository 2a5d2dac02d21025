"""The HTTP API before the real facade, the sandbox, PostgreSQL and Valkey."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis
import requests

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.web.ports import Books, ReadsTimes, TellsWaiting
from tests.support.business import container, sandbox, served, settings
from tests.support.web import Asker, asking

__all__ = ["container", "sandbox", "served", "settings"]  # fixtures

#: The sandbox's clock is the real one, as a facade that books for real people has no other.
MONDAY = date.today() + timedelta(days=14 - date.today().weekday())  # noqa: DTZ011 - a day, far enough ahead


@pytest.fixture
def api(container: Container) -> Iterator[Asker]:
    with asking(CalcomService(container)) as asker:
        yield asker


def booking(hour: int = 10, **changes: Any) -> dict[str, Any]:
    attendee = {"name": "Carol", "email": "carol@example.org", "timeZone": "Europe/Berlin"}
    return {"eventTypeId": 2, "start": f"{MONDAY.isoformat()}T{hour:02d}:00", "attendee": attendee, **changes}


def at_calcom(sandbox: RunningSandbox, **query: Any) -> Any:
    """What Cal.com itself answers to the same question."""
    headers = {"cal-api-version": "2024-09-04"}
    answer = requests.get(f"{sandbox.url}/slots", params=query, headers=headers, timeout=20)
    assert answer.status_code == 200
    return orjson.loads(answer.content)


def test_the_facade_answers_the_ports(container: Container):
    service = CalcomService(container)
    assert isinstance(service, ReadsTimes)
    assert isinstance(service, Books)
    assert isinstance(service, TellsWaiting)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("window", [(0, 4), (0, 0), (5, 6)])
def test_the_same_question_has_the_same_answer_as_at_calcom(
    api: Asker, sandbox: RunningSandbox, zone: str, window: tuple[int, int]
):
    first, last = (MONDAY + timedelta(days=n) for n in window)
    query = {"eventTypeId": 2, "start": first.isoformat(), "end": last.isoformat(), "timeZone": zone}
    assert api.get("/v2/slots", **query).json == at_calcom(sandbox, **query)


def test_starts_are_those_of_the_schedules_zone_whatever_zone_is_asked_for(api: Asker, sandbox: RunningSandbox):
    """Asked for a zone that is a quarter of an hour off, Cal.com counts from there, and offers other starts."""
    query = {"eventTypeId": 2, "start": MONDAY.isoformat(), "end": MONDAY.isoformat(), "timeZone": "Asia/Kathmandu"}
    ours = api.get("/v2/slots", **query).data[MONDAY.isoformat()]
    utc = at_calcom(sandbox, **{**query, "timeZone": "Europe/Berlin"})["data"][MONDAY.isoformat()]
    assert [datetime.fromisoformat(one["start"]) for one in ours] == [
        datetime.fromisoformat(one["start"]) for one in utc
    ]


def test_instants_are_understood_as_at_calcom(api: Asker, sandbox: RunningSandbox):
    query = {"eventTypeId": 2, "start": f"{MONDAY}T09:10:00+01:00", "end": f"{MONDAY}T10:59:59Z"}
    ours, theirs = api.get("/v2/slots", **query).json, at_calcom(sandbox, **query)
    assert ours == theirs
    assert theirs["data"]


def test_seats_are_told_as_at_calcom(api: Asker, sandbox: RunningSandbox):
    seated = next(n for n in range(1, 9) if "seatsTotal" in str(_slots(sandbox, n)))
    query = {"eventTypeId": seated, "start": MONDAY.isoformat(), "end": MONDAY.isoformat()}
    ours, theirs = api.get("/v2/slots", **query).data, at_calcom(sandbox, **query)["data"]
    assert ours == theirs


def _slots(sandbox: RunningSandbox, event_type_id: int) -> Any:
    query = {"eventTypeId": event_type_id, "start": MONDAY.isoformat(), "end": MONDAY.isoformat()}
    return requests.get(
        f"{sandbox.url}/slots", params=query, headers={"cal-api-version": "2024-09-04"}, timeout=20
    ).json()


def test_what_is_booked_is_gone_from_the_next_answer_and_names_nobody(api: Asker, sandbox: RunningSandbox):
    query = {"eventTypeId": 2, "start": MONDAY.isoformat(), "end": MONDAY.isoformat()}
    before = _starts(api.get("/v2/slots", **query).data)
    made = api.post("/v2/bookings", booking())
    assert made.status == 201
    assert b"carol" not in made.raw.lower()
    sandbox.control.advance(3)  # Cal.com answers an identical query from a cache of its own for 2 s
    assert before - _starts(api.get("/v2/slots", **query).data) == {made.data["start"]}
    uid = made.data["uid"]
    assert b"carol" not in api.get(f"/v2/bookings/{uid}").raw.lower()
    told = api.get(f"/v2/bookings/{uid}", include="attendees").data
    assert [one["name"] for one in told["attendees"]] == ["Carol"]


def _starts(days: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {slot["start"] for day in days.values() for slot in day}


def test_the_same_key_twice_is_one_booking(api: Asker, sandbox: RunningSandbox):
    before = sandbox.control.counters()["total"]
    named = {"Idempotency-Key": "order-4711"}
    first, second = (api.post("/v2/bookings", booking(), headers=named) for _ in range(2))
    assert (first.status, second.status, first.data["uid"]) == (201, 201, second.data["uid"])
    assert first.headers["idempotency-key"] == "order-4711"
    assert sandbox.control.counters()["total"] > before
    # Without the key it is another wish for a time that is taken.
    assert api.post("/v2/bookings", booking()).status == 409


def test_one_key_from_many_callers_at_once_is_one_booking(api: Asker):
    named = {"Idempotency-Key": "order-4712"}
    with ThreadPoolExecutor(6) as callers:
        askers = [Asker(api.port) for _ in range(6)]
        answers = list(callers.map(lambda asker: asker.post("/v2/bookings", booking(11), headers=named), askers))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.data["uid"] for answer in answers}) == 1


def test_moving_and_cancelling_with_a_key_may_come_twice(api: Asker):
    uid = api.post("/v2/bookings", booking(12)).data["uid"]
    move = {"start": f"{MONDAY + timedelta(days=1)}T13:00:00Z"}
    named = {"Idempotency-Key": "move-4711"}
    moved = [api.post(f"/v2/bookings/{uid}/reschedule", move, headers=named) for _ in range(2)]
    assert [one.status for one in moved] == [201, 201]
    assert moved[0].data["uid"] == moved[1].data["uid"] != uid
    assert moved[0].data["rescheduledFromUid"] == uid
    there = moved[0].data["uid"]
    reason, named = {"cancellationReason": "ill"}, {"Idempotency-Key": "cancel-4711"}
    gone = [api.post(f"/v2/bookings/{there}/cancel", reason, headers=named) for _ in range(2)]
    assert [(one.status, one.data["status"]) for one in gone] == [(200, "cancelled")] * 2
    assert api.post(f"/v2/bookings/{there}/cancel", reason).status == 422  # without a key it is another wish


def test_a_booking_that_is_not_there_is_not_found(api: Asker):
    assert api.get("/v2/bookings/nosuchbooking").kind == "not-found"
    assert api.get("/v2/slots", eventTypeId=99_999, start="2026-12-01", end="2026-12-02").kind == "not-found"


def test_while_calcom_is_away_known_times_are_told_as_stale(
    api: Asker, sandbox: RunningSandbox, redis_client: redis.Redis
):
    query = {"eventTypeId": 2, "start": MONDAY.isoformat(), "end": MONDAY.isoformat()}
    before = api.get("/v2/slots", **query)
    redis_client.flushdb()
    sandbox.control.add_fault("error", "GET /v2/slots")
    after = api.get("/v2/slots", **query)
    assert (after.status, after.data, after.headers["calcom-stale"]) == (200, before.data, "true")
    unknown = api.get("/v2/slots", **{**query, "eventTypeId": 1})
    assert (unknown.status, "retry-after" in unknown.headers) == (503, True)

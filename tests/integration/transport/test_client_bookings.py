"""Bookings whose request comes twice, whose answer differs from what was sent, whose seats are cancelled in doubt."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from calcom_pipeline.adapters.calcom.bookings.bodies import ignored_details
from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
from calcom_pipeline.app.bookings.in_doubt import book
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.requests import BookingRequest, BookingRules, booking_request
from calcom_pipeline.domain.errors import Conflict, OutcomeUnknown, Rejected, StoreError
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.captured import NOW, account, calcom, captured

__all__ = ["account", "calcom", "captured"]  # fixtures

CONSULT, CONFIRM, CLASS, ROUND_ROBIN = 2, 5, 6, 8
KEY = "order-4711"


def wanted(event_type_id: int = CONSULT, *, key: str | None = None, **changes: Any) -> BookingRequest:
    details = {"eventTypeId": event_type_id, "start": "2026-12-02T10:00:00Z", "name": "Carol Client"}
    details |= {"email": "carol@example.org", "timeZone": "Europe/Berlin", **changes}
    return booking_request(details, BookingRules(now=NOW), key=key)


def creates(account: RunningSandbox) -> int:
    return sum(request["endpoint"] == "POST /v2/bookings" for request in account.control.requests(1000))


# --- a key that comes twice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type_id", [CONSULT, CONFIRM, CLASS, ROUND_ROBIN])
def test_a_second_request_with_the_same_key_finds_the_booking_of_the_first(
    calcom: CalcomClient, account: RunningSandbox, event_type_id: int
):
    first = calcom.create_booking(wanted(event_type_id, key=KEY))
    second = calcom.create_booking(wanted(event_type_id, key=KEY))
    assert (first.adopted, second.adopted) == (False, True)
    assert second.booking.uid == first.booking.uid
    assert creates(account) == 1


def test_a_seat_that_was_booked_although_nobody_knew_is_not_booked_again_under_its_key(
    calcom: CalcomClient, account: RunningSandbox
):
    account.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    with pytest.raises(OutcomeUnknown):
        calcom.create_booking(wanted(CLASS, key=KEY))
    found = calcom.create_booking(wanted(CLASS, key=KEY))
    assert found.adopted
    assert len(found.booking.attendees) == 1


def test_whoever_loses_a_race_against_the_same_key_finds_what_the_winner_made(
    calcom: CalcomClient, account: RunningSandbox
):
    """The look before comes too early; the conflict then says that it is worth another one."""
    request = wanted(key=KEY)
    theirs: list[str] = []

    class Overtaken(CalcomClient):
        def find_booking(self, key: str, **of: Any) -> Any:
            found = super().find_booking(key, **of)
            if not theirs:
                theirs.append(calcom.create_booking(request).booking.uid)
            return found

    second = Overtaken(calcom._context).create_booking(request)
    assert (second.adopted, [second.booking.uid]) == (True, theirs)
    with pytest.raises(Conflict):
        calcom.create_booking(wanted(key="order-4712"))


# --- what was sent against what is answered ------------------------------------------------------------------


def test_an_answer_that_shows_everything_ignored_nothing(calcom: CalcomClient):
    booked = calcom.create_booking(wanted(guests=["Guest@example.org"], metadata={"order": "42", "paid": "yes"}))
    assert (booked.ignored, booked.adopted) == ((), False)
    seat = calcom.create_booking(wanted(CLASS, start="2026-12-03T10:00:00Z", metadata={"order": "43"}))
    assert (seat.ignored, seat.adopted) == ((), False)


def test_an_existing_booking_that_is_answered_instead_of_a_second_one_is_told_as_such(calcom: CalcomClient):
    first = calcom.create_booking(wanted(CONFIRM, metadata={"order": "42"}))
    again = calcom.create_booking(wanted(CONFIRM, metadata={"order": "43"}))
    assert again.booking.uid == first.booking.uid
    assert (again.adopted, again.ignored) == (True, ("metadata",))


def test_whatever_an_answer_does_not_show_is_named(calcom: CalcomClient):
    made = calcom.create_booking(wanted(start="2026-12-03T10:00:00Z")).booking
    others = {"email": "dora@example.org", "guests": ["g@example.org"], "lengthInMinutes": 45, "metadata": {"order": 1}}
    assert ignored_details(wanted(CLASS, **others), made) == (
        "eventTypeId",
        "start",
        "lengthInMinutes",
        "attendee",
        "guests",
        "metadata",
    )


def test_an_address_in_another_spelling_was_not_ignored(calcom: CalcomClient):
    made = calcom.create_booking(wanted(start="2026-12-03T10:00:00Z")).booking
    zoe = replace(made.attendees[0], email="zoë@xn--exmple-cua.org")
    shown = replace(made, attendees=(zoe,), raw=orjson.dumps({"guests": ["dan@xn--exmple-cua.org"]}))
    asked = wanted(start="2026-12-03T10:00:00Z", email="Zoë@exämple.org", guests=["Dan@Exämple.org"])
    assert ignored_details(asked, shown) == ()


@pytest.mark.parametrize("kept_as", [str.lower, lambda address: address.replace("exämple", "xn--exmple-cua")])
def test_a_doubtful_create_is_found_again_however_cal_com_spells_the_address(
    calcom: CalcomClient, account: RunningSandbox, kept_as: Callable[[str], str]
):
    """Its filter by address compares exactly, and would not show the booking: it would be made a second time."""
    request = replace(wanted(key=KEY), attendee=replace(wanted().attendee, email="Carol@exämple.org"))
    stored = kept_as("Carol@exämple.org")
    sent = replace(request, attendee=replace(request.attendee, email="carol@example.org"))
    made = calcom.create_booking(sent).booking
    account.control.mutate("set_attendees", uid=made.uid, emails=[stored])
    of = {"event_type_id": CONSULT, "start": made.start, "email": request.attendee.email}
    found = calcom.find_booking(KEY, **of)
    assert found is not None
    assert (found.uid, found.attendees[0].email) == (made.uid, stored)


# --- one seat of a booking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate", "malformed", "empty_body"])
def test_one_seat_is_cancelled_in_spite_of_doubt_and_the_others_stay(
    calcom: CalcomClient, account: RunningSandbox, kind: str
):
    calcom.create_booking(wanted(CLASS))
    booked = calcom.create_booking(wanted(CLASS, email="dora@example.org", name="Dora"))
    seats = {attendee.name: attendee.seat_uid for attendee in calcom.get_booking(booked.booking.uid).attendees}
    account.control.add_fault(kind, "POST /v2/bookings/*", count=1)
    calcom.cancel_booking(booked.booking.uid, reason="ill", seat_uid=seats["Dora"])
    left = calcom.get_booking(booked.booking.uid)
    assert (left.status, [attendee.name for attendee in left.attendees]) == ("accepted", ["Carol Client"])
    with pytest.raises(Rejected):
        calcom.cancel_booking(booked.booking.uid, reason="ill", seat_uid=seats["Dora"])


# --- a doubt that cannot be written down ---------------------------------------------------------------------


class FullStore:
    """An outcome store without room."""

    def opened_at(self, key: str) -> None:
        del key

    def open(self, outcome: OpenOutcome) -> None:
        raise StoreError("the disk is full")


def test_a_doubt_that_cannot_be_written_down_is_still_told_as_a_doubt(
    calcom: CalcomClient, account: RunningSandbox, empty_database: Database
):
    account.control.add_fault("reset_after", "POST /v2/bookings", count=1)
    locks = PostgresKeyLocks(empty_database, wait_seconds=1)
    with pytest.raises(OutcomeUnknown, match="the disk is full") as raised:
        book(calcom, FullStore(), locks, wanted(CLASS, key=KEY), now=NOW)  # type: ignore[arg-type]  # only asked to open
    assert raised.value.key == KEY

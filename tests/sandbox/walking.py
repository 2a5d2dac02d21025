"""A walk of random calls, legal and not, over the recorded account, and what must hold after every step.

Everything is known from answers and from the rows themselves; nothing is asked of the sandbox's own code.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.sandbox.talking import Talker

ALICE, BOB = 101, 102
USERS = {"alice@example.com": ALICE, "bob@example.com": BOB}
#: Who hosts each type, and which types close with whom: personal ones, the collective, the round robin.
HOSTS = {
    1: {ALICE},
    2: {ALICE},
    3: {ALICE},
    4: {ALICE},
    6: {ALICE},
    7: {ALICE},
    8: {ALICE, BOB},
    9: {ALICE, BOB},
    11: {BOB},
}
SEATED, SERIES, ROUND_ROBIN, COLLECTIVE = 6, 7, 8, 9
SEATS = 3
#: What no create takes, and with which status it is refused, wherever and whenever it is asked for.
WRONG: tuple[tuple[dict[str, Any], int], ...] = (
    ({"metadata": {"o": {}}}, 400),
    ({"metadata": {"b": True}}, 400),
    ({"guests": ["g@example.org", "g@example.org"]}, 400),
    ({"attendee": {"name": " ", "email": "x@example.org", "timeZone": "UTC"}}, 400),
    ({"attendee": {"name": "", "email": "x@example.org", "timeZone": "UTC"}}, 400),
    ({"attendee": {"name": "X", "email": "x@example.org", "timeZone": "Europe/Nowhere"}}, 400),
    ({"attendee": {"name": "X", "email": "x@example.org", "timeZone": "UTC", "phoneNumber": 1}}, 500),
    ({"eventTypeId": 999}, 404),
    ({"eventTypeId": 10}, 400),
    ({"start": "soon"}, 400),
    ({"instant": "yes"}, 400),
)
_FIRST_DAY = datetime(2026, 11, 23, tzinfo=UTC)
_DAYS = 3
_PEOPLE = 6


@dataclass
class Row:
    """A booking as the walk believes it to be."""

    uid: str
    event_type_id: int
    start: datetime
    end: datetime
    hosting: set[int]
    taken: set[int]
    status: str = "accepted"
    seats: list[str] = field(default_factory=list)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Walk:
    """One walk; `steps` counts what it did, `refused` what it was rightly refused."""

    def __init__(self, calcom: Talker, seed: int) -> None:
        self.calcom = calcom
        self.random = random.Random(seed)
        self.rows: dict[str, Row] = {}
        self.steps: Counter[str] = Counter()
        self._number = 0

    def run(self, length: int) -> None:
        for _ in range(length):
            step = self.random.choice(
                (self.book, self.book, self.book, self.book_at_random, self.cancel, self.move, self.leave, self.mistake)
            )
            step()
            self.steps[step.__name__] += 1
            self.check_totals()
            self.check_hosts()

    # -- steps

    def book(self) -> None:
        """Books a slot that is free: it must work, and the time must then be gone."""
        event_type_id = self.random.choice(list(HOSTS))
        slot = self._free_slot(event_type_id)
        if slot is None:
            return
        reply = self.calcom.post("/bookings", self._body(event_type_id, slot))
        assert reply.status == 201, f"a free slot of type {event_type_id} at {slot}: {reply.raw[:300]!r}"
        made = reply.data[0] if isinstance(reply.data, list) else reply.data
        self.check_gone(self._note(event_type_id, made))

    def book_at_random(self) -> None:
        """Books any quarter of an hour: if it works, its hosts were free."""
        event_type_id = self.random.choice(list(HOSTS))
        quarters = self.random.randrange(8 * 4)
        start = _FIRST_DAY + timedelta(days=self.random.randrange(_DAYS), hours=8, minutes=15 * quarters)
        reply = self.calcom.post("/bookings", self._body(event_type_id, start.isoformat()))
        unusual = {SEATED: {409}, COLLECTIVE: {500}}.get(event_type_id, set[int]())
        assert reply.status in {201, 400} | unusual, reply.raw[:300]
        if reply.status == 201:
            made = reply.data[0] if isinstance(reply.data, list) else reply.data
            self.check_gone(self._note(event_type_id, made))

    def cancel(self) -> None:
        """Cancels a booking: its time must be free again for its own type, unless somebody else takes it."""
        row = self._some_row()
        if row is None:
            return
        gone = self.calcom.post(f"/bookings/{row.uid}/cancel", {"cancellationReason": "walk"}).data
        assert gone["status"] == "cancelled"
        row.status = "cancelled"
        self.check_free_again(row)

    def move(self) -> None:
        """Moves a booking to a free slot of its type: a new one comes, the old one ends."""
        row = self._some_row()
        slot = (
            None if row is None or row.event_type_id == SEATED else self._free_slot(row.event_type_id, ignored=row.uid)
        )
        if row is None or slot is None:
            return
        reply = self.calcom.post(
            f"/bookings/{row.uid}/reschedule", {"start": slot, "rescheduledBy": "alice@example.com"}
        )
        assert reply.status == 201, f"moving type {row.event_type_id} to {slot}: {reply.raw[:300]!r}"
        assert reply.data["rescheduledFromUid"] == row.uid
        row.status = "cancelled"
        if row.event_type_id != SERIES:  # its shape does not name the successor
            assert self.calcom.get(f"/bookings/{row.uid}").data["rescheduledToUid"] == reply.data["uid"]
        self.check_gone(self._note(row.event_type_id, reply.data))

    def leave(self) -> None:
        """Gives back one seat of a booking with several."""
        seated = [row for row in self.rows.values() if row.status == "accepted" and len(row.seats) > 1]
        if not seated:
            return
        row = self.random.choice(seated)
        seat = row.seats.pop(self.random.randrange(len(row.seats)))
        left = self.calcom.post(f"/bookings/{row.uid}/cancel", {"seatUid": seat}, key=None).data
        assert (left["status"], [one["seatUid"] for one in left["attendees"]]) == ("accepted", row.seats)
        self.check_gone(row)

    def mistake(self) -> None:
        """Sends what cannot be right: it is refused, whatever the hosts do at that time, and nothing is made."""
        wrong, status = self.random.choice(WRONG)
        event_type_id = self.random.choice(list(HOSTS))
        body = self._body(event_type_id, f"{_FIRST_DAY.date()}T{self.random.randrange(24):02d}:00:00Z") | wrong
        reply = self.calcom.post("/bookings", body)
        assert reply.status == status, (wrong, reply.raw[:300])

    # -- what must hold

    def check_hosts(self) -> None:
        """No host hosts two bookings at once, unless both are of the type with seats; none of those has too many."""
        for host in (ALICE, BOB):
            held = [row for row in self.rows.values() if row.status == "accepted" and host in row.hosting]
            held.sort(key=lambda row: (row.start, row.end))
            for one, other in pairwise(held):
                both_seated = one.event_type_id == other.event_type_id == SEATED and one.start != other.start
                assert both_seated or one.end <= other.start, f"host {host} sits in {one} and {other}"
        assert all(len(row.seats) <= SEATS for row in self.rows.values())

    def check_totals(self) -> None:
        """The list holds exactly what the walk knows, with the states that it knows, and its totals are right."""
        body = self.calcom.get("/bookings", take=250, sortStart="asc").body
        assert {row["uid"]: row["status"] for row in body["data"]} == {
            row.uid: row.status for row in self.rows.values() if self._alice_sees(row)
        }
        pages = body["pagination"]
        assert (pages["totalItems"], pages["returnedItems"], pages["hasNextPage"]) == (len(body["data"]),) * 2 + (
            False,
        )
        cancelled = self.calcom.get("/bookings", status="cancelled", take=1).body["pagination"]["totalItems"]
        assert cancelled == sum(row["status"] == "cancelled" for row in body["data"])

    def check_gone(self, row: Row) -> None:
        """A booked time is gone from the slots of every type of everybody whose time it takes."""
        for event_type_id, hosts in HOSTS.items():
            if not hosts & row.taken or (event_type_id == SEATED == row.event_type_id):
                continue
            left = [slot for slot in self._slots(event_type_id, row.start) if self._overlaps(event_type_id, slot, row)]
            if event_type_id != ROUND_ROBIN or row.taken >= hosts:
                assert left == [], f"{row} is still offered by type {event_type_id}: {left}"
        if row.event_type_id == SEATED and row.start.minute == 0:  # on the grid it stays, full or not
            seats = [slot for slot in self._slots(SEATED, row.start) if slot["start"] == self._written(row.start)]
            assert [(slot["seatsBooked"], slot["seatsRemaining"]) for slot in seats] == [
                (len(row.seats), SEATS - len(row.seats))
            ]

    def check_free_again(self, row: Row) -> None:
        """A cancelled time is offered again, on the grid and if nobody else takes it."""
        others = [
            other
            for other in self.rows.values()
            if other.status == "accepted" and other.taken & HOSTS[row.event_type_id]
            and other.start.date() == row.start.date()
        ]  # fmt: skip
        if not others:  # an empty day has its whole grid
            length = 45 if row.event_type_id == 4 else int((row.end - row.start).total_seconds()) // 60
            starts = [slot["start"] for slot in self._slots(row.event_type_id, row.start)]
            assert len(starts) == 8 * 60 // length if 60 % length == 0 else starts

    # -- help

    def _alice_sees(self, row: Row) -> bool:
        """Her own, where she takes part, and her team's, managed children included."""
        return row.event_type_id in HOSTS and (ALICE in row.taken or row.event_type_id in {ROUND_ROBIN, COLLECTIVE, 11})

    def _some_row(self) -> Row | None:
        held = [row for row in self.rows.values() if row.status == "accepted"]
        return self.random.choice(held) if held else None

    def _body(self, event_type_id: int, start: str) -> dict[str, Any]:
        self._number += 1
        name, email = f"Person {self._number}", f"person{self._number}@example.org"
        if self.random.random() < 0.15 and event_type_id in {1, 2, 3}:
            name, email = "Bob Example", "bob@example.com"
        more = {SERIES: {"recurrenceCount": 1}, 4: {"lengthInMinutes": 45}}.get(event_type_id, {})
        return {"start": start, "eventTypeId": event_type_id, **more,
                "attendee": {"name": name, "email": email, "timeZone": "Europe/Berlin"}}  # fmt: skip

    def _slots(self, event_type_id: int, day: datetime, **query: Any) -> list[dict[str, Any]]:
        self.calcom.control.reset()
        query |= {"duration": 45} if event_type_id == 4 else {}
        date = day.date().isoformat()
        return self.calcom.get("/slots", key=None, eventTypeId=event_type_id, start=date, end=date, **query).data.get(
            date, []
        )

    def _free_slot(self, event_type_id: int, ignored: str | None = None) -> str | None:
        day = _FIRST_DAY + timedelta(days=self.random.randrange(_DAYS))
        query = {} if ignored is None else {"bookingUidToReschedule": ignored}
        slots = [slot for slot in self._slots(event_type_id, day, **query) if slot.get("seatsRemaining", 1)]
        return self.random.choice(slots)["start"] if slots else None

    @staticmethod
    def _written(moment: datetime) -> str:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    @staticmethod
    def _overlaps(event_type_id: int, slot: dict[str, Any], row: Row) -> bool:
        length = {1: 15, 2: 30, 3: 60, 4: 45, 6: 60, 7: 30, 8: 30, 9: 60, 11: 30}[event_type_id]
        start = _moment(slot["start"])
        return start < row.end and row.start < start + timedelta(minutes=length)

    def _note(self, event_type_id: int, made: dict[str, Any]) -> Row:
        organizer = {made["hosts"][0]["id"]}
        emails = [one["email"] for one in made["attendees"]]
        users = {USERS[email] for email in emails if email in USERS}
        hosting = organizer | (users if event_type_id == COLLECTIVE else set())
        row = Row(made["uid"], event_type_id, _moment(made["start"]), _moment(made["end"]), hosting, organizer | users)
        row.seats = [one["seatUid"] for one in made["attendees"] if "seatUid" in one]
        self.rows[row.uid] = row
        return row

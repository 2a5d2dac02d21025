"""A walk of valid, odd and wrong calls of every sort over the recorded account, and what must hold after each.

Bookings are walked by `walking.Walk`. What is refused changes nothing; what is taken is listed, readable by its id,
bookable where slots say so, and announced to each webhook as often as it happened.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from tests.contract.replaying import Receiver, wait_until
from tests.sandbox.fuzzing import Fuzzer
from tests.sandbox.talking import Reply
from tests.sandbox.walking import SEATED, SERIES, Row, Walk
from tests.sandbox.watching import Watcher

_TRIGGERS = ["BOOKING_CREATED", "BOOKING_CANCELLED", "BOOKING_RESCHEDULED", "BOOKING_REQUESTED"]
_PERSONAL = {1, 2, 3, 4, SEATED, SERIES}  # team types do not reach a user's webhooks
_SEATS = {"seatsPerTimeSlot": 2, "showAttendeeInfo": True, "showAvailabilityCount": True}
_VALID: list[dict[str, Any]] = [
    {"description": "Text"}, {"hidden": True}, {"slotInterval": 15}, {"minimumBookingNotice": 0}, {"offsetStart": 5},
    {"beforeEventBuffer": 15, "afterEventBuffer": 5}, {"bookingLimitsCount": {"day": 2, "week": 4}},
    {"bookingLimitsDuration": {"day": 120}}, {"bookingWindow": {"type": "calendarDays", "value": 20}},
    {"bookingWindow": {"type": "range", "value": ["2026-11-23", "2026-12-24"]}}, {"seats": _SEATS},
    {"confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": True}},
    {"confirmationPolicy": {"disabled": True}}, {"seats": {"disabled": True}}, {"lengthInMinutesOptions": [30, 60]},
    {"color": {"lightThemeHex": "#fff", "darkThemeHex": "#000"}}, {"onlyShowFirstAvailableSlot": True},
    {"bookerActiveBookingsLimit": {"maximumActiveBookings": 3}}, {"disableGuests": True}, {"scheduleId": 201},
    {"locations": [{"type": "attendeePhone"}]}, {"customName": "{Event type title} for {Scheduler}"},
]  # fmt: skip
_MEMBERS = [
    "lengthInMinutes", "lengthInMinutesOptions", "title", "slug", "description", "bookingFields", "disableGuests",
    "slotInterval", "minimumBookingNotice", "beforeEventBuffer", "afterEventBuffer", "scheduleId",
    "bookingLimitsCount", "bookingLimitsDuration", "bookerActiveBookingsLimit", "bookingWindow", "bookerLayouts",
    "confirmationPolicy", "recurrence", "color", "seats", "customName", "destinationCalendar", "successRedirectUrl",
    "calVideoSettings", "hidden", "disableCancelling", "disableRescheduling", "offsetStart", "locations",
    "interfaceLanguage", "onlyShowFirstAvailableSlot",
]  # fmt: skip
_NUMBERS = (0, -1, 1, 5, 1.5, 30.0, 2**31, 10**12)
_HOOK_MEMBERS = ["payloadTemplate", "active", "subscriberUrl", "triggers", "secret", "version", "time", "timeUnit"]
_WRONG: list[tuple[str, str, Any, dict[str, Any], int]] = [
    ("GET", "/event-types/999", None, {}, 404), ("GET", "/event-types/2", None, {"key": "bob"}, 404),
    ("PATCH", "/event-types/2", {"title": "Mine"}, {"key": "bob"}, 404),
    ("DELETE", "/event-types/2", None, {"key": "bob"}, 403), ("DELETE", "/event-types/999", None, {}, 404),
    ("POST", "/event-types", {"title": "T"}, {}, 400), ("POST", "/event-types", b"{", {}, 400),
    ("POST", "/teams/301/event-types", {"title": "T"}, {"key": "bob"}, 403),
    ("GET", "/bookings/none", None, {}, 404), ("POST", "/bookings/none/cancel", {}, {}, 404),
    ("GET", "/bookings", None, {"take": 251}, 400), ("GET", "/bookings", None, {"status": "gone"}, 400),
    ("POST", "/bookings", {"eventTypeId": 2}, {}, 400), ("GET", "/nowhere", None, {}, 404),
    ("GET", "/slots", None, {"eventTypeId": 2, "start": "2026-11-23"}, 400),
    ("GET", "/slots", None, {"eventTypeId": 999, "start": "2026-11-23", "end": "2026-11-23"}, 404),
    ("GET", "/slots", None, {"eventTypeId": 2, "start": "2026-11-23", "end": "2026-11-23", "timeZone": "X/Y"}, 400),
    ("GET", "/event-types", None, {"version": "2024-08-13"}, 404), ("GET", "/webhooks/none", None, {}, 404),
    ("POST", "/webhooks", {"active": True, "triggers": "BOOKING_CREATED"}, {}, 400),
    ("GET", "/schedules/202", None, {}, 403), ("GET", "/schedules/999", None, {}, 404),
    ("GET", "/me", None, {"key": None}, 401), ("GET", "/calendars", None, {"key": None, "version": None}, 401),
    ("GET", "/teams/999", None, {}, 403), ("DELETE", "/webhooks/none", None, {}, 404),
]  # fmt: skip


class MixedWalk(Walk):
    """One walk. `made` are event types of ours as they were last answered, `hooked` webhooks, by id."""

    def __init__(self, calcom: Watcher, receiver: Receiver, seed: int) -> None:
        super().__init__(calcom, seed)
        self.watcher = calcom
        self.receiver = receiver
        self.fuzzer = Fuzzer(seed, [])
        self.made: dict[int, dict[str, Any]] = {}
        self.hooked: dict[str, dict[str, Any]] = {}
        self.due: Counter[tuple[str, str]] = Counter()
        self.booked: set[int] = set()  # types of ours with bookings; seats that come later change those bookings' shape
        self._serial = 0

    def run(self, length: int) -> None:
        steps = [
            self.book, self.book_at_random, self.cancel, self.move, self.leave, self.make_type, self.change_type,
            self.odd_type, self.odd_type, self.odd_change, self.drop_type, self.use_type, self.use_type, self.hook,
            self.odd_hook, self.unhook, self.go_wrong, self.go_wrong, self.pass_time,
        ]  # fmt: skip
        for _ in range(length):
            step = self.random.choice(steps)
            step()
            self.steps[step.__name__] += 1
            self.check_lists()
            self.check_deliveries()
            self.check_totals()
        assert self.calcom.control.counters()["crashes"] == 0

    # -- event types

    def make_type(self) -> None:
        """Takes a right body: the type is there, and says what was sent."""
        body = self._new() | self._some_valid()
        reply = self.calcom.post("/event-types", body)
        if self._clashes(body):
            assert reply.status == 400
            return
        assert reply.status == 201, reply.raw[:500]
        self._keep(reply, body)

    def change_type(self) -> None:
        """Changes one of ours rightly, and finds it changed; an empty change changes nothing."""
        found = self._one_of_ours()
        if found is None:
            return
        body = self._some_valid()
        if found in self.booked:
            body.pop("seats", None)
        reply = self.calcom.patch(f"/event-types/{found}", body)
        if reply.status == 200:
            self._keep(reply, body)
        else:
            assert reply.status == 400, reply.raw[:500]
            assert reply.message.startswith("Seats Validation failed"), reply.raw[:500]
        assert self.calcom.patch(f"/event-types/{found}", {}).data == self.made[found]

    def odd_type(self) -> None:
        """Sends a member that may be anything: it is refused, or the type is there as any other."""
        body = self._new() | {
            self.random.choice(_MEMBERS): self._anything() for _ in range(self.random.randrange(1, 3))
        }
        self._send_odd("POST", "/event-types", body)

    def odd_change(self) -> None:
        """The same for a change."""
        found = self._one_of_ours()
        member = self.random.choice(_MEMBERS)
        if found is not None and not (member == "seats" and found in self.booked):
            self._send_odd("PATCH", f"/event-types/{found}", {member: self._anything()})

    def drop_type(self) -> None:
        """Deletes one of ours: it is no longer readable, in no version."""
        found = self._one_of_ours()
        if found is None:
            return
        gone = self.calcom.delete(f"/event-types/{found}").data
        assert gone["id"] == found
        del self.made[found]
        assert self.calcom.get(f"/event-types/{found}").status == 404
        assert self.calcom.get(f"/event-types/{found}", version=None).status == 404
        assert self.calcom.delete(f"/event-types/{found}").status == 404

    def use_type(self) -> None:
        """Books the first start of one of ours: it vanishes or loses a seat, and comes back with the cancellation."""
        found = self._one_of_ours()
        if found is None:
            return
        day = (self.watcher.now + timedelta(days=self.random.randrange(1, 9))).date().isoformat()
        before = self._starts_of(found, day)
        if not before:
            return
        start = self.random.choice(list(before))
        self._number += 1
        attendee = {
            "name": f"Guest {self._number}",
            "email": f"g{self._number}@example.org",
            "timeZone": "Europe/Paris",
        }
        reply = self.calcom.post("/bookings", {"start": start, "eventTypeId": found, "attendee": attendee})
        if reply.status != 201:
            assert 400 <= reply.status < 500, reply.raw[:500]
            return
        self.booked.add(found)
        made = reply.data[0] if isinstance(reply.data, list) else reply.data
        self._announce(made["eventTypeId"], "BOOKING_REQUESTED" if made["status"] == "pending" else "BOOKING_CREATED")
        if isinstance(reply.data, list):
            for _ in reply.data[1:]:
                self._announce(found, "BOOKING_REQUESTED" if made["status"] == "pending" else "BOOKING_CREATED")
        after = self._starts_of(found, day)
        policy = self.made[found]["confirmationPolicy"]
        blocks = made["status"] != "pending" or policy.get("blockUnconfirmedBookingsInBooker") is True
        if "seatUid" in made:
            assert start not in after or after[start] == before[start] - 1, (found, start, before, after)
        elif blocks:
            assert start not in after, (self.made[found], start, after)
        self._undo(found, made, day, start, before)

    def _undo(self, found: int, made: dict[str, Any], day: str, start: str, before: dict[str, int]) -> None:
        uid = made.get("recurringBookingUid", made["uid"])
        gone = self.calcom.post(f"/bookings/{uid}/cancel", {"cancellationReason": "walk"})
        if gone.status == 400:
            assert self.made[found]["disableCancelling"] == {"disabled": True}, gone.raw[:500]
            self.calcom.control.delete_bookings(event_type_id=found)
            return
        assert gone.status == 200, gone.raw[:500]
        self._announce(found, "BOOKING_CANCELLED")
        assert self._starts_of(found, day) == before, (self.made[found], start)

    # -- webhooks

    def hook(self) -> None:
        """Subscribes a path of the receiver to some triggers."""
        self._serial += 1
        triggers = self.random.sample(_TRIGGERS, self.random.randrange(1, 4))
        url = f"{self.receiver.url}/{self._serial}"
        made = self.calcom.post("/webhooks", {"active": True, "subscriberUrl": url, "triggers": triggers}).data
        again = self.calcom.post("/webhooks", {"active": True, "subscriberUrl": url, "triggers": triggers})
        assert again.status == 409
        self.hooked[made["id"]] = made

    def odd_hook(self) -> None:
        """Sends a subscription with a member that may be anything."""
        self._serial += 1
        body = {"active": False, "subscriberUrl": f"{self.receiver.url}/odd{self._serial}", "triggers": _TRIGGERS[:1]}
        body[self.random.choice(_HOOK_MEMBERS)] = self._anything()
        before = self._snapshot()
        reply = self._lenient("POST", "/webhooks", body)
        if reply.status == 201:
            changed = self.calcom.patch(f"/webhooks/{reply.data['id']}", {"active": False}).data
            self.hooked[changed["id"]] = changed
        else:
            assert self._snapshot() == before, body

    def unhook(self) -> None:
        """Ends one subscription: nothing comes there any more."""
        if self.hooked:
            found = self.random.choice(list(self.hooked))
            del self.hooked[found]
            assert self.calcom.delete(f"/webhooks/{found}").data["id"] == found
            assert self.calcom.get(f"/webhooks/{found}").status == 404

    # -- the rest

    def go_wrong(self) -> None:
        """Makes a call that is refused with its status, whatever happened before, and changes nothing."""
        method, path, body, options, status = self.random.choice(_WRONG)
        before = self._snapshot()
        reply = self.calcom.ask(method, path, body, **options)
        assert reply.status == status, f"{method} {path} {options}: {reply.raw[:300]!r}"
        assert self._snapshot() == before

    def pass_time(self) -> None:
        """Lets the limiter's windows end."""
        self.watcher.wait(self.random.choice((1, 30, 61)))

    # -- bookings, announced

    def book_at_random(self) -> None:
        """A host who is busy may cost a collective type a 500."""
        self.watcher.may_fail = True
        super().book_at_random()
        self.watcher.may_fail = False

    def _note(self, event_type_id: int, made: dict[str, Any]) -> Row:
        self._announce(event_type_id, "BOOKING_RESCHEDULED" if made.get("rescheduledFromUid") else "BOOKING_CREATED")
        return super()._note(event_type_id, made)

    def cancel(self) -> None:
        was = {uid: row.status for uid, row in self.rows.items()}
        super().cancel()
        for uid, row in self.rows.items():
            if was[uid] != row.status:
                self._announce(row.event_type_id, "BOOKING_CANCELLED")

    def leave(self) -> None:
        seats = sum(len(row.seats) for row in self.rows.values())
        super().leave()
        if sum(len(row.seats) for row in self.rows.values()) < seats:
            self._announce(SEATED, "BOOKING_CANCELLED")

    def _announce(self, event_type_id: int, trigger: str) -> None:
        if event_type_id not in _PERSONAL and event_type_id not in self.made:
            return
        for webhook in self.hooked.values():
            if webhook["active"] and trigger in webhook["triggers"]:
                self.due[webhook["subscriberUrl"].removeprefix(self.receiver.url), trigger] += 1

    # -- what must hold

    def check_totals(self) -> None:
        """The list holds what the walk knows, besides that only what was cancelled, and its totals are right."""
        body = self.calcom.get("/bookings", take=250).body
        listed = {row["uid"]: row["status"] for row in body["data"]}
        known = {row.uid: row.status for row in self.rows.values() if self._alice_sees(row)}
        assert known.items() <= listed.items()
        assert {status for uid, status in listed.items() if uid not in known} <= {"cancelled"}
        pages = body["pagination"]
        assert (pages["totalItems"], pages["returnedItems"], pages["hasNextPage"]) == (len(listed), len(listed), False)

    def check_lists(self) -> None:
        """What is listed is what is known, and is read by its id as it is listed."""
        listed = {row["id"]: row for row in self.calcom.get("/event-types").data}
        assert set(listed) == {1, 2, 3, 4, 5, 6, 7} | set(self.made)
        for event_type_id in self.random.sample(sorted(listed), 2):
            read = self.calcom.get(f"/event-types/{event_type_id}").data
            shown = [one for one in read["bookingFields"] if one.get("hidden") is not True]
            assert listed[event_type_id] == read | {"bookingFields": shown}
            assert read == self.made.get(event_type_id, read)
        hooks = {row["id"]: row for row in self.calcom.get("/webhooks").data}
        assert hooks == self.hooked
        bookings = self.calcom.get("/bookings", take=250).data
        for row in self.random.sample(bookings, min(2, len(bookings))):
            read = self.calcom.get(f"/bookings/{row['uid']}").data
            assert (read["uid"], read["status"], read["start"]) == (row["uid"], row["status"], row["start"])

    def check_deliveries(self) -> None:
        """Every webhook got what it was due, and no more."""

        def came() -> Counter[tuple[str, str]]:
            return Counter((one["path"], _trigger_of(one["raw"])) for one in list(self.receiver.got))

        wait_until(lambda: came().total() >= self.due.total())
        assert came() == self.due

    # -- help

    def _new(self) -> dict[str, Any]:
        self._serial += 1
        return {"lengthInMinutes": self.random.choice((20, 30, 60)), "title": "Walk", "slug": f"walk-{self._serial}"}

    def _some_valid(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for members in self.random.sample(_VALID, self.random.randrange(4)):
            chosen |= members
        return chosen

    @staticmethod
    def _clashes(body: dict[str, Any]) -> bool:
        return "seatsPerTimeSlot" in body.get("seats", {}) and "type" in body.get("confirmationPolicy", {})

    def _keep(self, reply: Reply, body: dict[str, Any]) -> None:
        said = reply.data
        for member, value in body.items():
            shown = said[member]
            if isinstance(value, dict) and isinstance(shown, dict):
                assert value.items() <= ({"disabled": False} | shown).items(), (member, value, shown)
            else:
                assert shown == value, (member, value, shown)
        self.made[said["id"]] = said
        assert self.calcom.get(f"/event-types/{said['id']}").data == said

    def _one_of_ours(self) -> int | None:
        return self.random.choice(sorted(self.made)) if self.made else None

    def _anything(self) -> Any:
        if self.random.random() < 0.3:
            return self.random.choice(_NUMBERS)
        return self.fuzzer.value()

    def _send_odd(self, method: str, path: str, body: dict[str, Any]) -> None:
        before = self._snapshot()
        reply = self._lenient(method, path, body)
        if reply.status >= 400:
            assert self._snapshot() == before, (method, path, body)
            return
        said = reply.data
        assert self.calcom.get(f"/event-types/{said['id']}").data == said, body
        self.made[said["id"]] = said
        for days in (1, 40):
            day = (self.watcher.now + timedelta(days=days)).date().isoformat()
            self._starts_of(said["id"], day)

    def _lenient(self, method: str, path: str, body: Any) -> Reply:
        self.watcher.may_fail = True
        try:
            return self.calcom.ask(method, path, body)
        finally:
            self.watcher.may_fail = False

    def _snapshot(self) -> Any:
        types = sorted(self.calcom.get("/event-types").data, key=lambda row: row["id"])
        bookings = self.calcom.get("/bookings", take=250, sortStart="asc").data
        rows = sorted((row["uid"], row["status"], row["updatedAt"]) for row in bookings)
        return types, rows, self.calcom.get("/webhooks").data

    def _starts_of(self, event_type_id: int, day: str) -> dict[str, int]:
        """The starts of a day with the seats that are left (one for a type without seats)."""
        self.watcher.forget()
        found = self.calcom.get("/slots", key=None, eventTypeId=event_type_id, start=day, end=day).data.get(day, [])
        return {slot["start"]: slot.get("seatsRemaining", 1) for slot in found if slot.get("seatsRemaining", 1) > 0}

    def _slots(self, event_type_id: int, day: Any, **query: Any) -> list[dict[str, Any]]:
        self.watcher.forget()
        query |= {"duration": 45} if event_type_id == 4 else {}
        date = day.date().isoformat()
        found = self.calcom.get("/slots", key=None, eventTypeId=event_type_id, start=date, end=date, **query).data
        return found.get(date, [])


def _trigger_of(raw: str) -> str:
    return next((one for one in _TRIGGERS if f'"triggerEvent":"{one}"' in raw), "?")

"""What other hands do to an account while its bookings are read: a seeded storm behind a sandbox's control surface.

A reader asks the sky before each page, and the sky strikes before it answers. So every change falls between two pages,
in an order that a seed decides, and a reader that is killed in between leaves none of it half known. The sandbox
itself changes bookings inside a page, between its two queries, if the weather is told how often.
"""

import random
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from calcom_pipeline.sandbox.testing import Control
from tests.support.booking_rows import stamp

FAR = "9999-12-31T23:59:59.999Z"


@dataclass(frozen=True)
class Sky:
    """Where the weather happens: whose key reads, the team that it may gain, what can be booked and by whom hosted."""

    user_id: int
    team_id: int
    event_types: tuple[int, ...]
    hosts: tuple[int, ...]
    #: Longer than two of the reader's pages.
    bulk_rows: int
    #: The reader's overlap; commits later than twice that cannot be found by a read of changes.
    overlap: timedelta


class Weather:
    """Strikes when told to. `excused` are bookings that a read of changes need not have right, as the issue lists."""

    def __init__(self, control: Control, sky: Sky, seed: int, *, inside_pages: float = 0.0) -> None:
        """`inside_pages` is the share of pages in which up to three bookings change between the two queries.

        In a third as many one booking is moved to another start, in a sixth as many all of a page change.
        """
        if inside_pages:
            at = stamp(datetime.now(UTC) + timedelta(days=20))
            moved = {"do": "update_bookings", "set": {"start": at, "end": at}}
            few: dict[str, Any] = {"share": inside_pages, "rows": 3}
            for number, fault in enumerate(
                (few, {"share": inside_pages / 3, "mutation": moved}, {"share": inside_pages / 6, "rows": 250})
            ):
                control.add_fault("change_inside_page", "GET /v2/bookings", seed=seed + number, **fault)
        self._control = control
        self._sky = sky
        self._rng = random.Random(seed)
        self._uids = [row["uid"] for row in control.read_bookings()]
        self._bulk: list[str] = []
        self._lock = threading.Lock()
        self.excused: set[str] = set()
        self.strikes = 0
        self.history: list[tuple[str, str, list[str]]] = []

    def strike(self) -> None:
        """Up to three changes; one at a time, however many readers ask."""
        with self._lock:
            self.strikes += 1
            for _ in range(self._rng.randrange(4)):
                self._rng.choice(self.CHANGES)(self)

    def calm_inside_pages(self) -> None:
        """No page changes any more while it is read; how many did is told among the changes."""
        struck = sum(fault["struck"] for fault in self._control.faults())
        self.history += [("change inside a page", "", [])] * struck
        self._control.clear_faults()

    def changes(self) -> Counter[str]:
        """How often each change was made."""
        return Counter(what for what, _, _ in self.history)

    def story_of(self, uids: Iterable[str]) -> list[tuple[str, str, list[str]]]:
        """What happened to some bookings, in order: for somebody who has to find out why they are wrong."""
        wanted = set(uids)
        return [(what, at, uids[:3]) for what, at, uids in self.history if wanted & set(uids)]

    # --- changes that every read must find -----------------------------------------------------------------

    def create(self) -> None:
        self._add()

    def edit(self) -> None:
        self._change("edit", [self._some()], title=self._words())

    def cancel(self) -> None:
        self._change("cancel", [self._some()], status="cancelled", cancellation_reason=self._words())

    def reassign(self) -> None:
        self._change("reassign", [self._some()], user_id=self._rng.choice(self._sky.hosts))

    def reschedule(self) -> None:
        """A new booking takes the old one's place; both carry one stamp."""
        old, at = self._some(), stamp(datetime.now(UTC))
        new = self._add(updated=at, set={"rescheduled_from": old})
        moved = {"status": "cancelled", "rescheduled": True, "rescheduled_to": new}
        self._change("reschedule", [old], updated=at, **moved)

    def late_commit(self) -> None:
        """Stamped a while ago, seen only now."""
        late = self._sky.overlap * self._rng.uniform(0.05, 0.95)
        self._change("late commit", [self._some()], updated=stamp(datetime.now(UTC) - late), title=self._words())

    def bulk_update(self) -> None:
        """Rows of one instant, more than two pages full, and sometimes of one start as well."""
        if self._rng.random() < 0.25:
            self._bulk = self._rng.sample(self._uids, min(len(self._uids), self._sky.bulk_rows))
            more = {"start": stamp(datetime.now(UTC) + timedelta(days=3))} if self._rng.random() < 0.3 else {}
            self._change("bulk update", self._bulk, title=self._words(), updated=stamp(datetime.now(UTC)), **more)

    def leave_the_instant(self) -> None:
        if self._bulk:
            self._change("leave the instant", self._rng.sample(self._bulk, 2), title=self._words())

    def gain_or_lose_a_team(self) -> None:
        if self._rng.random() < 0.4:
            role = self._rng.choice(("OWNER", "OWNER", "OWNER", None))
            self._control.mutate("set_membership", user_id=self._sky.user_id, team_id=self._sky.team_id, role=role)
            self._note("gain a team" if role else "lose a team", [])

    # --- changes that only a full read must find -----------------------------------------------------------

    def delete(self) -> None:
        if self._rng.random() < 0.4:
            uid = self._some()
            (row,) = self._control.read_bookings(uids=[uid])
            # Who moved a booking is read from its successor, so that the one before is shown differently from now on.
            self.excused.update({row["rescheduled_from"]} - {None})
            self._uids.remove(uid)
            self._bulk = [one for one in self._bulk if one != uid]
            self._control.delete_bookings(uids=[uid])
            self._note("delete", [uid])

    def take_a_seat(self) -> None:
        """Attendees come and go without a trace in any timestamp."""
        uid = self._some()
        self.excused.add(uid)
        emails = [f"guest-{n}@example.org" for n in range(self._rng.randrange(5))]
        self._control.mutate("set_attendees", uid=uid, emails=emails)
        self._note("take a seat", [uid])

    def lose_the_stamp(self) -> None:
        self._silently("lose the stamp", None)

    def come_from_the_future(self) -> None:
        if self._rng.random() < 0.3:
            self._silently("come from the future", FAR)

    def commit_too_late(self) -> None:
        too_late = self._sky.overlap * self._rng.uniform(2.5, 5.0)
        self._silently("commit too late", stamp(datetime.now(UTC) - too_late))

    CHANGES: ClassVar[tuple[Callable[["Weather"], None], ...]] = (
        create, create, edit, edit, cancel, reassign, reschedule, late_commit, bulk_update, leave_the_instant,
        leave_the_instant, gain_or_lose_a_team, delete, take_a_seat, lose_the_stamp, come_from_the_future,
        commit_too_late,
    )  # fmt: skip

    # --- inside --------------------------------------------------------------------------------------------

    def _some(self) -> str:
        return self._rng.choice(self._uids)

    def _words(self) -> str:
        return f"changed {self._rng.getrandbits(32):08x}"

    def _silently(self, what: str, updated: str | None) -> None:
        uid = self._some()
        self.excused.add(uid)
        self._control.update_bookings(uids=[uid], updated=updated, set={"title": self._words()})
        self._note(what, [uid], updated)

    def _change(self, what: str, uids: list[str], *, updated: str | None = None, **fields: Any) -> None:
        stamped = {} if updated is None else {"updated": updated}
        self._control.update_bookings(uids=uids, set=fields, **stamped)
        self.excused.difference_update(uids)
        self._note(what, uids, updated)

    def _note(self, what: str, uids: list[str], updated: str | None = None) -> None:
        self.history.append((what, f"{stamp(datetime.now(UTC))}, stamped {updated}", list(uids)))

    def _add(self, **more: Any) -> str:
        start = datetime.now(UTC) + timedelta(hours=self._rng.randrange(1, 900))
        event_type = self._rng.choice(self._sky.event_types)
        made = self._control.mutate("add_booking", event_type_id=event_type, start=stamp(start), **more)
        self._uids.append(made["uid"])
        self._note("create", [made["uid"]])
        return made["uid"]


@contextmanager
def listening(weather: Weather) -> Generator[int]:
    """Readers connect to this port, write a line before each page and wait for one back."""

    class Listener(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the reader was killed meanwhile
                while self.rfile.readline():
                    weather.strike()
                    self.wfile.write(b"\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

"""Hands that edit, book, cancel, move and reassign while an `up` is struck: seeded, and with a memory of every edit.

Both sides of a service are edited, each field by one side alone: what both changed would be a conflict that a person
has to settle, and nothing could be said of it. An edit is tried until it is done, so the memory is right.
"""

import http.client
import os
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import psycopg
import requests

from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.services.fields import Value
from calcom_pipeline.service import CalcomService
from calcom_pipeline.settings import Settings, load_settings
from tests.faults.daemon_stage import Away, Stage
from tests.support.booking_rows import stamp

TEAM, ROUND_ROBIN = 301, 2  # of the demo account: one of its types has two hosts to choose from
PAUSES = (0.2, 1.5)
SERVICES = 6
OURS = {"title": "name", "duration_minutes": "duration_minutes", "minimum_notice_minutes": "minimum_notice_minutes"}
THEIRS = {"description": "description", "before_buffer_minutes": "beforeEventBuffer"}
INSIDE_PAGES = 0.15
_REQUEST_SECONDS = 20.0
_OVER = requests.RequestException, Away


@dataclass
class Hands:
    """What they did, and which value every field was given last."""

    stage: Stage
    seed: int
    key: str
    latest: dict[tuple[str, str], Value] = field(default_factory=dict[tuple[str, str], Value])
    done: Counter[str] = field(default_factory=Counter[str])
    strangers: set[int] = field(default_factory=set[int])
    booked: list[str] = field(default_factory=list[str])
    round_robin: list[str] = field(default_factory=list[str])
    bugs: list[str] = field(default_factory=list[str])
    made: int = 0
    #: Whether visitors also book.
    books: bool = True
    #: The described account they work on; the environment's without one.
    account: str = ""
    team: int | None = TEAM
    #: Event types of one host, and one of several; those that visitors look at.
    types: tuple[int, ...] = (1, 3, 4)
    shared_type: int | None = ROUND_ROBIN
    visited: tuple[int, ...] = (1, 3, 4, 12)
    #: Seconds between two changes, and between two looks of a visitor.
    pauses: tuple[float, float] = PAUSES
    _faulted: str = ""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._schema = self.settings().schema_name
        self.strangers |= {e["id"] for e in self.stage.sandbox()[1].account()["eventTypes"]}
        for _ in range(SERVICES):
            self.add_service()

    def settings(self) -> Settings:
        """Those of the account."""
        return load_settings({**os.environ, **({"CALCOM_ACCOUNT": self.account} if self.account else {})})

    # --- both sides of services ----------------------------------------------------------------------------

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """A statement of somebody who knows nothing of us."""
        with psycopg.connect(self.stage.servers().database_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(f'SET search_path = "{self._schema}"'.encode())
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def add_service(self) -> None:
        self.made += 1
        name, slug = f"Service {self.made}", f"storm-{self.seed}-{self.made}"
        team = self.team if self._dice.random() < 0.2 else None
        columns = "name, slug, duration_minutes, description, before_buffer_minutes, minimum_notice_minutes, team_id"
        insert = f"INSERT INTO services ({columns}) VALUES (%s, %s, 30, '', 0, 60, %s)"
        insert += " ON CONFLICT DO NOTHING"
        self.stage.persist(lambda: self.rows(insert, name, slug, team))
        found: list[tuple[Any, ...]] = []
        self.stage.persist(lambda: found.extend(self.rows("SELECT id::text FROM services WHERE slug = %s", slug)))
        given: dict[str, Value] = {"title": name, "slug": slug, "duration_minutes": 30, "description": ""}
        given |= {"before_buffer_minutes": 0, "minimum_notice_minutes": 60}
        self.latest |= {(found[0][0], field_name): value for field_name, value in given.items()}

    def add_now_and_then(self) -> None:
        if self._dice.random() < 0.25:
            self.add_service()

    def edit_here(self) -> None:
        service_id = self._dice.choice(sorted({key[0] for key in self.latest}))
        name = self._dice.choice(sorted(OURS))
        value = self._value(name)
        update = f"UPDATE services SET {OURS[name]} = %s WHERE id::text = %s"
        self.stage.persist(lambda: self.rows(update, value, service_id))
        self.latest[service_id, name] = value

    def edit_there(self) -> None:
        linked: dict[str, int] = {}
        query = "SELECT service_id, event_type_id FROM service_links WHERE event_type_id IS NOT NULL"
        self.stage.persist(lambda: linked.update(self.rows(query)))
        if not linked:
            return
        service_id, name = self._dice.choice(sorted(linked)), self._dice.choice(sorted(THEIRS))
        value, number = self._value(name), linked[service_id]
        change = {THEIRS[name]: value}
        self.stage.persist(lambda: self.stage.sandbox()[1].mutate("update_event_type", id=number, set=change))
        self.latest[service_id, name] = value

    def _value(self, name: str) -> Value:
        self.made += 1
        return f"{name} {self.made}" if name in ("title", "description") else self.made % 110 + 10

    # --- bookings ------------------------------------------------------------------------------------------

    def book(self) -> None:
        self._book(self._dice.choice((*self.types, self.shared_type or self.types[0])))

    def book_round_robin(self) -> None:
        if self.shared_type is not None:
            self._book(self.shared_type)

    def _book(self, event_type_id: int) -> None:
        days = self._post("GET", f"/slots?eventTypeId={event_type_id}&{self._days()}", "2024-09-04")
        starts = [slot["start"] for slots in (days or {}).values() for slot in slots]
        if not starts:
            return
        attendee = {"name": "Jo", "email": f"jo{self.made}@example.org", "timeZone": "UTC"}
        body = {"eventTypeId": event_type_id, "start": self._dice.choice(starts), "attendee": attendee}
        made = self._post("POST", "/bookings", body=body)
        if made:
            (self.round_robin if event_type_id == self.shared_type else self.booked).append(made["uid"])

    def cancel(self) -> None:
        if self.booked:
            uid = self.booked.pop(self._dice.randrange(len(self.booked)))
            self._post("POST", f"/bookings/{uid}/cancel", body={"cancellationReason": "rain"})

    def move(self) -> None:
        if self.booked:
            uid = self.booked.pop(self._dice.randrange(len(self.booked)))
            start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            start += timedelta(days=self._dice.randrange(3, 20), hours=self._dice.randrange(24))
            moved = self._post("POST", f"/bookings/{uid}/reschedule", body={"start": stamp(start)})
            self.booked.append(moved["uid"] if moved else uid)

    def reassign(self) -> None:
        if self.round_robin:
            self._post("POST", f"/bookings/{self._dice.choice(self.round_robin)}/reassign", body={})

    def _days(self) -> str:
        first = datetime.now(UTC).date() + timedelta(days=self._dice.randrange(2, 15))
        return f"start={first}&end={first + timedelta(days=3)}"

    def _post(self, method: str, path: str, version: str = "2024-08-13", body: Any = None) -> Any:
        """What Cal.com answered; None if it refused, or was killed before it could."""
        headers = {"Authorization": f"Bearer {self.key}", "cal-api-version": version}
        try:
            url = self.stage.sandbox()[0] + path
            answer = requests.request(method, url, json=body, headers=headers, timeout=_REQUEST_SECONDS)
        except _OVER:
            self.done["nobody answered"] += 1
            return None
        if answer.status_code >= requests.codes.bad_request:
            self.done[f"answered {answer.status_code}"] += 1
            return None
        return answer.json()["data"]

    # --- inside pages ---------------------------------------------------------------------------------------

    def trouble_pages(self) -> None:
        """A new sandbox knows of no fault."""
        with suppress(OSError, ValueError, http.client.HTTPException):
            url, control = self.stage.sandbox()
            if url != self._faulted:
                fault: dict[str, Any] = {"share": INSIDE_PAGES, "rows": 3, "seed": self.seed}
                control.add_fault("change_inside_page", "GET /v2/bookings", **fault)
                self._faulted = url

    def calm(self) -> None:
        """No page changes any more while it is read."""
        self.stage.persist(lambda: self.stage.sandbox()[1].clear_faults())  # noqa: PLW0108 - asked for anew each time

    CHANGES: ClassVar[tuple[Callable[["Hands"], None], ...]] = (
        edit_here, edit_here, edit_there, edit_there, book, book, book_round_robin, cancel, move, move, reassign,
        reassign, add_now_and_then,
    )  # fmt: skip

    def work(self, stop: threading.Event) -> None:
        """One change after the other until told to stop."""
        while not stop.wait(self._dice.uniform(*self.pauses)):
            self.trouble_pages()
            change = self._dice.choice(self.CHANGES)
            change(self)
            self.done[change.__name__] += 1

    # --- a website ------------------------------------------------------------------------------------------

    def visit(self, stop: threading.Event) -> None:
        """Look for free times and book through the facade; only our own errors may come of it."""
        dice, keys = random.Random(self.seed + 1), 0
        while not stop.wait(dice.uniform(*self.pauses)):
            with suppress(PipelineError), CalcomService.open(self.settings()) as calcom:
                while not stop.wait(dice.uniform(*self.pauses)):
                    keys += 1
                    self._visit(calcom, dice, key=f"visit-{self.seed}-{keys}")

    def _visit(self, calcom: CalcomService, dice: random.Random, *, key: str) -> None:
        number, first = dice.choice(self.visited), date.today() + timedelta(days=dice.randrange(2, 15))  # noqa: DTZ011 - any day
        try:
            free = calcom.availability(number, first_day=first, last_day=first + timedelta(days=6))
            self.done["visits"] += 1
            if self.books and free.slots and dice.random() < 0.3:
                start = dice.choice(free.slots).start
                details = {"eventTypeId": number, "start": start, "name": "Vi", "email": "vi@example.org"}
                calcom.book(details, key=key)
                self.done["bookings through the facade"] += 1
        except PipelineError as error:
            self.done[f"visitors told of {type(error).__name__}"] += 1
            raise

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Everybody is, as long as the block."""
        with self._busy(self.work, self.visit):
            yield

    @contextmanager
    def only_looking(self) -> Generator[None]:
        """Visitors look for free times, so that there are cached days; nobody changes anything."""
        self.books = False
        with self._busy(self.visit):
            yield

    @contextmanager
    def _busy(self, *hands: Callable[[threading.Event], None]) -> Generator[None]:
        stop = threading.Event()

        def watched(what: Callable[[threading.Event], None]) -> None:
            try:
                what(stop)
            except Exception:  # noqa: BLE001 - told at the end: a thread's error is nobody's otherwise
                self.bugs.append(traceback.format_exc())
                print(self.bugs[-1], flush=True)

        threads = [threading.Thread(target=watched, args=[what]) for what in hands]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

"""A real inbox and mirror, a Cal.com of rows, and a clock that only we move, for drains."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
from calcom_pipeline.app.webhooks.drain import DrainReport, DrainRules, drain
from calcom_pipeline.domain.bookings.listing import Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.domain.errors import (
    CalcomError,
    NotFound,
)
from calcom_pipeline.domain.webhooks.deliveries import Delivery, judge
from tests.support.deliveries import SECRET, signature
from tests.support.tables import fetch

RULES = DrainRules()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class FakeCalcom:
    """Bookings by uid; an error in the place of one is raised. Remembers what was asked."""

    rows: dict[str, dict[str, Any] | CalcomError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None

    def booking(self, uid: str) -> Booking | Unreadable:
        self.asked.append(uid)
        self.before(uid)
        found = self.rows.get(uid, NotFound("Reading a booking: there is none"))
        if isinstance(found, CalcomError):
            raise found
        return replayed(orjson.dumps(found))


@dataclass
class World:
    database: Database
    spool: FileSpool
    clock: Clock = field(default_factory=Clock)
    calcom: FakeCalcom = field(default_factory=FakeCalcom)
    policy: Any = "keep"

    @property
    def people(self) -> People:
        return People(self.policy, load_pseudonyms(self.database, None))

    @property
    def inbox(self) -> PostgresInbox:
        return PostgresInbox(self.database, self.policy, lambda: self.people)

    def comes(self, *bodies: bytes) -> None:
        self.inbox.add([self.delivery(raw) for raw in bodies])

    def delivery(self, raw: bytes) -> Delivery:
        window = timedelta(days=1000)
        found = judge(raw, signature(raw), secrets=[SECRET], now=self.clock(), window=window)
        assert isinstance(found, Delivery)
        return found

    def drain(self, rules: DrainRules = RULES, mirror: Any = None) -> DrainReport:
        mirror = mirror or PostgresBookingMirror(self.database, people=self.people)
        return drain(self.calcom, mirror, self.inbox, self.spool, now=self.clock, rules=rules)

    def states(self) -> list[tuple[str, str]]:
        return fetch(self.database, "SELECT coalesce(uid, '-'), state FROM webhook_inbox ORDER BY 1")

    def mirrored(self) -> dict[str, str]:
        return dict(fetch(self.database, "SELECT uid, status FROM bookings"))

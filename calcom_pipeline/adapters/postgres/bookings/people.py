"""Who is who while bookings are stored: users among attendees, private bookings, people who were erased.

What is read here is small and changes rarely, so it is kept between pages; tombstones are asked for every time.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.database import Cursor
from calcom_pipeline.domain.addresses import canonical
from calcom_pipeline.domain.bookings.listing import Ours, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.people import People, busy_time

_SECONDS_KEPT = 30.0


class Gatekeeper:
    """Turns bookings as they came into bookings as they may be stored. One per mirror; not shared by threads."""

    def __init__(self, people: People, clock: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._clock = clock
        self._read_at = float("-inf")
        self._users: dict[str, int] = {}
        self._hosts: set[tuple[int, str | None, str | None]] = set()
        self._ours: Ours | None = None

    @property
    def policy(self) -> str:
        """Names how people are kept."""
        return self._people.policy

    def refresh(self, cursor: Cursor) -> None:
        """Read who is who, if that was long ago."""
        if self._clock() - self._read_at < _SECONDS_KEPT:
            return
        cursor.execute(queries.USERS)
        self._users = {canonical(email): user_id for email, user_id in cursor.fetchall()}
        self._ours = read_ours(cursor)
        self._read_at = self._clock()

    def forget(self) -> None:
        """What was remembered in a transaction that did not count may not be there: read it anew."""
        self._read_at = float("-inf")
        self._hosts.clear()

    def knows_erased(self, subjects: Iterable[bytes]) -> bool:
        """Whether these tombstones were known; from now on they are."""
        erased = frozenset(map(bytes, subjects))
        known, self._people = erased == self._people.erased, replace(self._people, erased=erased)
        return known

    def kept(self, booking: Booking, *, private: bool = False) -> Booking:
        """A booking as it may be stored, its attendees resolved to users before their addresses are hidden."""
        resolved = self.resolved(booking)
        return busy_time(resolved) if private else self._people.kept(resolved)

    def resolved(self, booking: Booking) -> Booking:
        """The same booking with its attendees' user ids, where they are known."""
        users = self._users
        ids = [users.get(canonical(a.email)) if a.email else None for a in booking.attendees] if users else ()
        if not any(ids):
            return booking
        attendees = (replace(a, user_id=i) for a, i in zip(booking.attendees, ids, strict=True))
        return replace(booking, attendees=tuple(attendees))

    def kept_records(self, records: Iterable[Unreadable]) -> list[Unreadable]:
        """Records for quarantine."""
        return [self._people.kept_record(record) for record in records]

    def private_among(self, bookings: Mapping[str, Booking]) -> set[str]:
        """Uids of those of which only the time may be kept. None as long as nobody knows what is ours."""
        ours = self._ours
        return set() if ours is None else {uid for uid, booking in bookings.items() if ours.is_private(booking)}

    def keep_users(self, cursor: Cursor, bookings: Iterable[Booking], seen_at: datetime) -> None:
        """Remember hosts as users of Cal.com; known ones cost nothing."""
        hosts = {(h.id, h.email, h.username) for b in bookings for h in b.hosts if h.id is not None}
        new = sorted(hosts - self._hosts, key=lambda host: (host[0], host[1] or "", host[2] or ""))
        if not new:
            return
        ids, emails, usernames = (list(column) for column in zip(*new, strict=True))
        values = {"user_ids": ids, "emails": emails, "usernames": usernames, "seen_at": seen_at}
        cursor.execute(queries.KEEP_USERS, values)
        self._hosts.update(new)
        self._users.update((canonical(email), user_id) for user_id, email, _ in new if email)


def read_ours(cursor: Cursor) -> Ours | None:
    """What counts as ours; None until the event types of every owner have been read."""
    cursor.execute(queries.OURS)
    row = cursor.fetchone()
    if row is None:
        return None
    user_id, email, event_type_ids, slugs = row
    return Ours(user_id, canonical(email) if email else None, frozenset(event_type_ids), frozenset(slugs))

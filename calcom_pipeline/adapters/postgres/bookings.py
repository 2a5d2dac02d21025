"""The mirror of bookings: what changed on a page goes in by one COPY and one upsert, with its positions and facts.

An unchanged page costs one comparison of hashes and writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres import booking_quarantine
from calcom_pipeline.adapters.postgres import queries_bookings as queries
from calcom_pipeline.adapters.postgres.booking_people import Gatekeeper
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.mirrors import counts, lock_stream, move_watermark, read_watermark
from calcom_pipeline.adapters.postgres.outbox import insert_facts
from calcom_pipeline.booking_ports import Stored
from calcom_pipeline.domain.attendees import People
from calcom_pipeline.domain.booking_reads import (
    CHANGES_STREAM,
    FULL_STREAM,
    Covered,
    ListingState,
    Position,
    ReadEnd,
    Scope,
)
from calcom_pipeline.domain.bookings import BookingPage, Footprint, Listing, facts_of, footprint
from calcom_pipeline.domain.models import Booking
from calcom_pipeline.ports import Changes


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """`horizon`: how far ahead slots are cached. `keep_past`: bookings that ended longer ago are left out."""

    horizon: timedelta = timedelta(days=28)
    keep_past: timedelta | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """A row that has to be written: as it may be stored, what it replaces, what both mean for free slots."""

    booking: Booking
    added: bool
    is_private: bool
    old: Footprint | None
    new: Footprint


class PostgresBookingMirror:
    """The tables `bookings`, `booking_attendees`, `booking_hosts`, `quarantine`, `booking_listings`, and the outbox.

    One instance serves one thread at a time; threads have one each.
    """

    def __init__(
        self, database: Database, *, people: People | None = None, options: MirrorOptions | None = None
    ) -> None:
        self._database = database
        self._gate = Gatekeeper(people or People())
        self._options = options or MirrorOptions()

    @property
    def policy(self) -> str:
        """Names how people are kept."""
        return self._gate.policy

    # --- positions ---------------------------------------------------------------------------------------

    def state(self, listing: Listing) -> ListingState:
        """How far reads of a listing have come; instants are UTC."""
        with self._database.transaction("Reading how far bookings are") as cursor:
            mark = read_watermark(cursor, CHANGES_STREAM, str(listing))
            cursor.execute(queries.LISTING, {"listing": str(listing)})
            row = cursor.fetchone()
        if row is None:
            return ListingState(watermark=mark[0] if mark else None)
        scope, roles_seen_at, needs_full, polled_at, full_done_at, filters_changes, policy, total = row
        return ListingState(
            watermark=mark[0] if mark else None,
            scope=Scope.from_json(scope) if scope else None,
            roles_looked_at=roles_seen_at,
            needs_full=needs_full,
            polled_at=polled_at,
            full_done_at=full_done_at,
            filters_changes=filters_changes,
            policy=policy,
            total=total,
        )

    def looked(self, listing: Listing, scope: Scope, *, roles_seen_at: datetime | None, needs_full: str | None) -> None:
        """Keep what the key sees; a reason given makes the next reads full ones until one has ended."""
        values = {
            "listing": str(listing),
            "scope": Jsonb(scope.as_json()),
            "roles_seen_at": roles_seen_at,
            "needs_full": needs_full,
        }
        with self._database.transaction("Keeping what the key sees") as cursor:
            cursor.execute(queries.KEEP_SCOPE, values)

    def position(self, stream: str, partition: str) -> Position | None:
        """Where a read by creation time or start stopped."""
        with self._database.transaction("Reading how far bookings are") as cursor:
            cursor.execute(queries.POSITION, {"stream": stream, "partition": partition})
            row = cursor.fetchone()
        return Position(*row) if row else None

    def begin(self, stream: str, partition: str) -> None:
        """Forget where an earlier read stopped."""
        with self._database.transaction("Beginning a read of bookings") as cursor:
            cursor.execute(queries.DROP_POSITION, {"stream": stream, "partition": partition})

    def keep_listings(self, listings: Sequence[Listing]) -> int:
        """Forget listings that are no longer read; how many bookings lose one by that."""
        with self._database.transaction("Forgetting listings") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.FORGET_LISTINGS, {"listings": [str(listing) for listing in listings]})
            forgotten = [row[0] for row in cursor.fetchall()]
            if not forgotten:
                return 0
            cursor.execute(queries.LEAVE_LISTINGS, {"listings": forgotten})
            return cursor.rowcount

    def finish(self, listing: Listing, end: ReadEnd) -> None:
        """A read has seen all it was to see."""
        values = {
            "listing": str(listing),
            "polled_at": end.polled_at,
            "full_done_at": end.polled_at if end.full else None,
            "total": end.total,
            "filters_changes": end.filters_changes,
            "policy": self._gate.policy if end.full else None,
            "full": end.full,
            "settled": end.full_because,
            "needs_full": end.needs_full,
        }
        with self._database.transaction("Ending a read of bookings") as cursor:
            cursor.execute(queries.FINISH, values)
            if end.full:
                cursor.execute(queries.DROP_FULL_POSITIONS, {**values, "stream": FULL_STREAM})
            if end.watermark is not None:
                move_watermark(cursor, CHANGES_STREAM, str(listing), end.watermark, end.polled_at)

    # --- pages -------------------------------------------------------------------------------------------

    def store(
        self,
        page: BookingPage,
        *,
        listing: Listing,
        watermark: datetime | None = None,
        position: Position | None = None,
        covered: Covered | None = None,
    ) -> Stored:
        """Write a page, move the positions and emit the facts of what changed, all or nothing."""
        with self._database.transaction("Storing bookings") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            self._gate.refresh(cursor)
            stored = self._store_rows(cursor, page, listing)
            booking_quarantine.keep(cursor, CHANGES_STREAM, self._gate.kept_records(page.unreadable), page)
            unlisted = _unlist(cursor, listing, covered, page.sent_at)
            if watermark is not None:
                move_watermark(cursor, CHANGES_STREAM, str(listing), watermark, page.sent_at)
            if position is not None:
                cursor.execute(queries.SET_POSITION, _values(position))
        return stored + Stored(unlisted=unlisted)

    def _store_rows(self, cursor: Cursor, page: BookingPage, listing: Listing) -> Stored:
        oldest = page.answered_at - self._options.keep_past if self._options.keep_past else None
        wanted = {b.uid: b for b in page.bookings if oldest is None or b.end >= oldest}
        too_old = len(page.bookings) - len(wanted)
        read = {"read_started_at": page.sent_at, "listing": str(listing)}
        changes = self._changes(cursor, wanted, read) if wanted else []
        added = sum(change.added for change in changes)
        facts = 0
        if changes:
            _write(cursor, changes, listing, page.sent_at)
            self._gate.keep_users(cursor, (wanted[c.booking.uid] for c in changes), page.sent_at)
            pairs = [(change.old, change.new) for change in changes]
            facts = insert_facts(cursor, facts_of(pairs, now=page.answered_at, horizon=self._options.horizon))
        counted = Changes(added=added, changed=len(changes) - added, unchanged=len(wanted) - len(changes))
        return Stored(counted, facts=facts, too_old=max(too_old, 0))

    def _changes(self, cursor: Cursor, wanted: dict[str, Booking], read: dict[str, Any]) -> list[_Change]:
        private = {uid for uid, b in wanted.items() if self._gate.is_private(b)}
        kept = {uid: (self._gate.busy_time(b) if uid in private else self._gate.kept(b)) for uid, b in wanted.items()}
        values = {
            "uids": list(kept),
            "hashes": [b.payload_hash for b in kept.values()],
            "updates": [b.updated_at for b in kept.values()],
        }
        cursor.execute(queries.COMPARE, values | read)
        changes: list[_Change] = []
        for uid, added, was_gone, was_private, *old in cursor.fetchall():
            booking, is_private = kept[uid], uid in private
            if is_private and not added and not was_private and booking.event_type_id is None:
                # Its event type is gone since; it was known as ours.
                booking, is_private = self._gate.kept(wanted[uid]), False
            before = None if added or was_gone else _footprint(old)
            changes.append(_Change(booking, added, is_private, before, footprint(self._gate.resolved(wanted[uid]))))
        return changes

    # --- what is no longer shown -------------------------------------------------------------------------

    def unlisted(self, limit: int) -> list[str]:
        """Bookings that no listing shows and that are not yet proven gone."""
        return self._uids(queries.UNLISTED, limit)

    def listed(self, limit: int) -> list[str]:
        """Some bookings that are shown."""
        return self._uids(queries.LISTED, limit)

    def _uids(self, query: str, limit: int) -> list[str]:
        with self._database.transaction("Looking for bookings") as cursor:
            cursor.execute(statement(query), {"limit": limit})
            return [row[0] for row in cursor.fetchall()]

    def mark_gone(self, uid: str, *, read_at: datetime) -> None:
        """A booking is proven deleted: its time is free again."""
        values = {"uid": uid, "read_at": read_at}
        with self._database.transaction("Marking a deleted booking") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.FOOTPRINT, values)
            row = cursor.fetchone()
            cursor.execute(queries.MARK_GONE, values)
            if row is not None and cursor.rowcount:
                gone = facts_of([(_footprint(row), None)], now=read_at, horizon=self._options.horizon)
                insert_facts(cursor, gone)

    def mark_out_of_scope(self, uid: str, *, read_at: datetime) -> None:
        """A booking exists, but the key no longer sees it: its time stays taken."""
        with self._database.transaction("Marking a booking out of scope") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.MARK_OUT_OF_SCOPE, {"uid": uid, "read_at": read_at})

    def live(self, listing: Listing) -> int:
        """Bookings that the listing shows, records in quarantine included."""
        with self._database.transaction("Counting bookings") as cursor:
            cursor.execute(queries.LIVE, {"listing": str(listing)})
            return int(counts(cursor)[0])


def _values(position: Position) -> dict[str, Any]:
    return {
        "stream": position.stream,
        "partition": position.partition,
        "reached": position.reached,
        "started_at": position.started_at,
    }


def _footprint(row: Sequence[Any]) -> Footprint:
    status, starts_at, ends_at, event_type_id, user_ids, seats_taken = row
    return Footprint(status, starts_at, ends_at, event_type_id, tuple(sorted(user_ids)), seats_taken)


def _unlist(cursor: Cursor, listing: Listing, covered: Covered | None, sent_at: datetime) -> int:
    if covered is None:
        return 0
    bounds = {"low": covered.low, "high": covered.high, "uids": list(covered.uids)}
    cursor.execute(statement(queries.UNLIST[covered.sort]), {"listing": str(listing), "sent_at": sent_at, **bounds})
    return cursor.rowcount


def _write(cursor: Cursor, changes: Sequence[_Change], listing: Listing, read_started_at: datetime) -> None:
    cursor.execute(queries.STAGE)
    with cursor.copy(statement(queries.COPY_STAGE)) as copy:
        for change in changes:
            copy.write_row((*_row(change.booking), read_started_at, [str(listing)], change.is_private))
    cursor.execute(statement(queries.UPSERT))
    known = [change.booking.uid for change in changes if not change.added]
    if known:
        cursor.execute(queries.DROP_ATTENDEES, {"uids": known})
        cursor.execute(queries.DROP_HOSTS, {"uids": known})
    _write_people(cursor, [change.booking for change in changes])


def _write_people(cursor: Cursor, bookings: Sequence[Booking]) -> None:
    with cursor.copy(queries.COPY_ATTENDEES) as copy:
        for booking in bookings:
            for position, a in enumerate(booking.attendees):
                person = (a.email, a.name, a.time_zone, a.language, a.absent, a.phone_number, a.seat_uid, a.user_id)
                copy.write_row((booking.uid, position, *person))
    with cursor.copy(queries.COPY_HOSTS) as copy:
        for booking in bookings:
            for position, h in enumerate(booking.hosts):
                copy.write_row((booking.uid, position, h.id, h.username, h.name, h.email, h.time_zone))


def _row(b: Booking) -> tuple[Any, ...]:
    return (
        b.uid,
        b.id,
        b.status,
        b.title,
        b.description,
        b.start,
        b.end,
        b.event_type_id,
        b.event_type_slug,
        b.location,
        b.cancellation_reason,
        b.rescheduled_from_uid,
        b.rescheduled_to_uid,
        b.recurring_uid,
        b.absent_host,
        b.created_at,
        b.updated_at,
        b.raw.decode(),
        b.payload_hash,
    )

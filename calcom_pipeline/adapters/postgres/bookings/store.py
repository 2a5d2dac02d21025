"""Storing one page of bookings: what changed goes in by COPY and one upsert, with its facts and its positions.

An unchanged page costs one comparison of hashes. What can be sent together is: on a busy machine the ways to and fro
cost more than the work.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from calcom_pipeline.adapters.postgres.availability.outbox import insert_facts
from calcom_pipeline.adapters.postgres.bookings import quarantine as booking_quarantine
from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.bookings.people import Gatekeeper
from calcom_pipeline.adapters.postgres.copy_rows import array_of, as_json, copy_rows
from calcom_pipeline.adapters.postgres.database import Cursor, statement
from calcom_pipeline.adapters.postgres.streams import counts, lock_stream, move_watermark
from calcom_pipeline.app.bookings.ports import Stored
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.bookings.listing import ZONE_SLACK, BookingPage, Footprint, Listing, facts_of, footprint
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.positions import CHANGES_STREAM, Covered, Position


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """`horizon`: how far ahead slots are cached. `keep_past`: bookings that ended longer ago are left out."""

    horizon: timedelta = timedelta(days=28)
    keep_past: timedelta | None = None


class _Change(NamedTuple):
    """A row that has to be written: as it may be stored, what it replaces, and as it came."""

    booking: Booking
    added: bool
    is_private: bool
    old: Footprint | None
    original: Booking


@dataclass(frozen=True, slots=True)
class Moves:
    """What else is written with a page."""

    watermark: datetime | None
    position: Position | None
    covered: Covered | None


class PageStore:
    """Stores pages for one listing or several; one instance serves one thread at a time."""

    def __init__(self, gate: Gatekeeper, options: MirrorOptions) -> None:
        self._gate = gate
        self._options = options

    def store(self, cursor: Cursor, page: BookingPage, listing: Listing, moves: Moves) -> Stored:
        """Everything that belongs to a page, in the caller's transaction."""
        self._gate.refresh(cursor)
        oldest = page.sent_at - self._options.keep_past if self._options.keep_past else None
        wanted = {b.uid: b for b in page.bookings if oldest is None or b.end >= oldest}
        changes, has_open_records = self._changes(cursor, wanted, listing, page.sent_at)
        facts = 0
        if changes:
            _write(cursor, changes, listing, page.sent_at)
            self._gate.keep_users(cursor, (change.original for change in changes), page.sent_at)
            facts = insert_facts(cursor, self._facts(changes, page.sent_at))
        if page.unreadable or has_open_records:
            booking_quarantine.keep(cursor, CHANGES_STREAM, self._gate.kept_records(page.unreadable), page)
        unlisted = _write_moves(cursor, listing, moves, page.sent_at)
        added = sum(change.added for change in changes)
        counted = Changes(added=added, changed=len(changes) - added, unchanged=len(wanted) - len(changes))
        return Stored(counted, unlisted, facts, sum(b.uid not in wanted for b in page.bookings))

    def _changes(
        self, cursor: Cursor, wanted: dict[str, Booking], listing: Listing, read_started_at: datetime
    ) -> tuple[list[_Change], bool]:
        """Rows that have to be written, found under the lock of the stream; and whether quarantine holds records."""
        while True:
            private = self._gate.private_among(wanted)
            kept = {uid: self._gate.kept(b, private=uid in private) for uid, b in wanted.items()}
            rows: list[dict[str, Any]] = [
                {"uid": b.uid, "hash": b.payload_hash.hex(), "updated_at": b.updated_at} for b in kept.values()
            ]
            for row in rows if private else ():
                came = wanted[row["uid"]]
                if came.uid in private and came.event_type_id is None:
                    row["if_ours"] = self._gate.kept(came).payload_hash.hex()
            compared = {"read_started_at": read_started_at, "listing": str(listing)}
            with cursor.connection.cursor() as situation:
                with cursor.connection.pipeline():
                    cursor.execute(queries.COMMIT_WITHOUT_WAITING)
                    lock_stream(cursor, CHANGES_STREAM)
                    situation.execute(queries.SITUATION, {"stream": CHANGES_STREAM})
                    cursor.execute(statement(queries.COMPARE), {"rows": orjson.dumps(rows).decode(), **compared})
                erased, has_open_records = counts(situation)
            found = cursor.fetchall()
            if self._gate.knows_erased(erased):
                return [self._change(row, kept, wanted, private) for row in found], has_open_records

    def _change(
        self, row: Sequence[Any], kept: dict[str, Booking], wanted: dict[str, Booking], private: set[str]
    ) -> _Change:
        uid, added, was_gone, was_private, *old = row
        booking, is_private = kept[uid], uid in private
        if is_private and not added and not was_private and booking.event_type_id is None:
            # Its event type is gone since; it was known as ours.
            booking, is_private = self._gate.kept(wanted[uid]), False
        return _Change(booking, added, is_private, None if added or was_gone else footprint_of(old), wanted[uid])

    def _facts(self, changes: Iterable[_Change], now: datetime) -> list[ChangeEvent]:
        """Facts of changes; most rows of a long history end before anything that is cached begins."""
        oldest = now - ZONE_SLACK
        pairs = (
            (change.old, footprint(self._gate.resolved(change.original)))
            for change in changes
            if change.old is not None or change.original.end > oldest
        )
        return facts_of(pairs, now=now, horizon=self._options.horizon)


def footprint_of(row: Sequence[Any]) -> Footprint:
    """The footprint of a stored row: status, times, event type, users, people."""
    status, starts_at, ends_at, event_type_id, user_ids, seats_taken = row
    return Footprint(status, starts_at, ends_at, event_type_id, tuple(sorted(user_ids)), seats_taken)


def _write_moves(cursor: Cursor, listing: Listing, moves: Moves, sent_at: datetime) -> int:
    """Positions, and what the listing no longer shows; how many rows that were."""
    covered, position = moves.covered, moves.position
    with cursor.connection.pipeline(), cursor.connection.cursor() as other:
        if moves.watermark is not None:
            move_watermark(other, CHANGES_STREAM, str(listing), moves.watermark, sent_at)
        if position is not None:
            names = {"stream": position.stream, "partition": position.partition}
            instants = {"reached": position.reached, "started_at": position.started_at}
            other.execute(queries.SET_POSITION, {**names, **instants})
        if covered is None:
            return 0
        names = {"listing": str(listing), "sent_at": sent_at}
        cursor.execute(
            statement(queries.LISTED_BEFORE[covered.sort]), {**names, "low": covered.low, "high": covered.high}
        )
    missing = [uid for (uid,) in cursor.fetchall() if uid not in covered.uids]
    if missing:
        cursor.execute(queries.UNLIST, {"listing": str(listing), "uids": missing})
    return len(missing)


def _write(cursor: Cursor, changes: Sequence[_Change], listing: Listing, read_started_at: datetime) -> None:
    """New rows go straight in: under the lock of the stream nobody else adds any. Others by one upsert."""
    shared_values = (read_started_at, array_of(str(listing)))
    added, changed = ([c for c in changes if c.added is new] for new in (True, False))
    if added:
        copy_rows(cursor, "bookings", queries.BOOKING_COLUMNS, _rows(added, shared_values))
    if changed:
        known = {"uids": [change.booking.uid for change in changed]}
        cursor.execute(queries.STAGE)
        copy_rows(cursor, "incoming_bookings", queries.BOOKING_COLUMNS, _rows(changed, shared_values))
        cursor.execute(statement(queries.UPSERT))
        cursor.execute(queries.DROP_ATTENDEES, known)
        cursor.execute(queries.DROP_HOSTS, known)
    bookings = [change.booking for change in changes]
    copy_rows(cursor, "booking_attendees", queries.ATTENDEE_COLUMNS, _attendees(bookings))
    copy_rows(cursor, "booking_hosts", queries.HOST_COLUMNS, _hosts(bookings))


def _rows(changes: Iterable[_Change], shared_values: tuple[datetime, bytes]) -> Iterator[tuple[Any, ...]]:
    for change in changes:
        b = change.booking
        yield (
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
            as_json(b.raw),
            b.payload_hash,
            *shared_values,
            change.is_private,
        )


def _attendees(bookings: Iterable[Booking]) -> Iterator[tuple[Any, ...]]:
    for b in bookings:
        for n, a in enumerate(b.attendees):
            yield b.uid, n, a.email, a.name, a.time_zone, a.language, a.absent, a.phone_number, a.seat_uid, a.user_id


def _hosts(bookings: Iterable[Booking]) -> Iterator[tuple[Any, ...]]:
    for b in bookings:
        for n, h in enumerate(b.hosts):
            yield b.uid, n, h.id, h.username, h.name, h.email, h.time_zone

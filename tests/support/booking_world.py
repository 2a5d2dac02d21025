"""A Cal.com whose bookings change while they are listed, and a mirror in memory. Written after the fact sheet alone.

`World` lies as Cal.com does: rows with equal keys come in any order, totals ignore the created and updated filters, a
row that is deleted between the two queries of a list is missing from its page, stamps are made before they are seen.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from calcom_pipeline.adapters.calcom.bookings.rows import booking_page, one_booking
from calcom_pipeline.app.bookings.ports import Finished, Outset, Stored
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery, Listing, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.positions import Covered, ListingState, Position, ReadEnd, Scope
from calcom_pipeline.domain.errors import NotFound
from calcom_pipeline.domain.listed import Listed, UnreadableRow
from calcom_pipeline.domain.models import Profile, Team
from tests.support.booking_rows import EXCHANGE, answer, attendee, host, row, stamp

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
MS = timedelta(milliseconds=1)
FAR = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


@dataclass
class Entry:
    """One booking of the world. `team`: seen only by keys of that team, besides its organizer."""

    uid: str
    id: int
    created: datetime
    updated: datetime | None
    start: datetime
    event_type: int | None = 7
    status: str = "accepted"
    title: str = "Repair"
    host: int = 101
    seats: int = 1
    team: int | None = None
    moved_from: str | None = None
    moved_to: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """The row as Cal.com answers it."""
        return row(
            self.uid,
            start=self.start,
            id=self.id,
            createdAt=stamp(self.created),
            updatedAt=None if self.updated is None else stamp(self.updated),
            status=self.status,
            title=self.title,
            hosts=[host(self.host, f"host{self.host}")],
            attendees=[attendee(f"Guest{n}") for n in range(self.seats)],
            eventTypeId=self.event_type,
            eventType=None if self.event_type is None else {"id": self.event_type, "slug": f"type-{self.event_type}"},
            rescheduledFromUid=self.moved_from,
            rescheduledToUid=self.moved_to,
        ) | dict(self.extra)


class World:
    """A Cal.com account. `between_pages` is called before each page is made, `inside_page` between its two queries.

    `inside` are the uids of the page while `inside_page` runs. `clock_ahead` is how far the Date of answers is off.
    """

    def __init__(self, seed: int = 1, *, teams: Sequence[int] = ()) -> None:
        self.rng = random.Random(seed)
        self.now = BEGIN
        self.entries: dict[str, Entry] = {}
        self.late: list[tuple[datetime, Callable[[], None]]] = []
        self.key_teams = list(teams)
        self.unlisted_teams: set[int] = set()
        self.odd_teams: list[UnreadableRow] = []
        self.roles: dict[int, str] = {}
        self.calls: list[str] = []
        self.queries: list[BookingQuery] = []
        self.between_pages: Callable[[], None] = lambda: None
        self.inside_page: Callable[[], None] = lambda: None
        self.inside: list[str] = []
        self.clock_ahead = timedelta()
        self.team_lists_filter = False
        self.counts_rightly = False
        self._next_id = 1

    # --- what changes it ---------------------------------------------------------------------------------

    def tick(self, milliseconds: int = 1) -> datetime:
        """Time passes; commits that were late land when theirs has come."""
        self.now += timedelta(milliseconds=milliseconds)
        due = [commit for at, commit in self.late if at <= self.now]
        self.late = [(at, commit) for at, commit in self.late if at > self.now]
        for commit in due:
            commit()
        return self.now

    def add(self, *, created: datetime | None = None, **changes: Any) -> Entry:
        """A booking, made now."""
        at = created or self.tick()
        plain = Entry(f"u{self._next_id:06d}", self._next_id, at, at, at + timedelta(days=1))
        self._next_id += 1
        entry = replace(plain, **changes)
        self.entries[entry.uid] = entry
        return entry

    def change(self, uid: str, *, silently: bool = False, late: timedelta | None = None, **changes: Any) -> None:
        """Change a booking; its stamp moves unless `silently`. With `late` it is stamped now and seen later."""
        stamped = changes if silently else {"updated": self.tick(), **changes}

        def commit() -> None:
            if uid in self.entries:
                self.entries[uid] = replace(self.entries[uid], **stamped)

        if late is None:
            commit()
        else:
            self.late.append((self.now + late, commit))

    def move(self, uid: str, start: datetime) -> Entry:
        """Reschedule: a new booking, the old one cancelled; both with the same stamp."""
        at = self.tick()
        new = self.add(created=at, start=start, moved_from=uid, event_type=self.entries[uid].event_type)
        self.change(uid, silently=True, updated=at, status="cancelled", moved_to=new.uid)
        return new

    # --- what shows it -----------------------------------------------------------------------------------

    def visible(self, listing: Listing = MINE) -> list[Entry]:
        """What a listing shows without filters."""
        if listing.kind == "team":
            return [e for e in self.entries.values() if e.team == listing.id]
        return [e for e in self.entries.values() if e.team is None or e.team in self.key_teams]

    def page(self, query: BookingQuery) -> BookingPage:
        """GET /v2/bookings and its like."""
        self.between_pages()
        self.calls.append("page")
        self.queries.append(query)
        sent_at = self.now
        ignores = query.listing.kind == "team" and not self.team_lists_filter
        asked = _without_change_filters(query) if ignores else query
        shown = self.visible(query.listing)
        counted = [e for e in shown if _passes(e, asked if self.counts_rightly else _without_change_filters(asked))]
        chosen = [e for e in shown if _passes(e, asked)]
        self.rng.shuffle(chosen)
        chosen.sort(key=lambda e: _sort_key(e, asked))
        self.inside = uids = [e.uid for e in chosen[query.skip : query.skip + query.take]]
        self.inside_page()
        rows = [self.entries[uid].shown() for uid in uids if uid in self.entries]
        answered_at = self.tick().replace(microsecond=0) + self.clock_ahead
        return booking_page(answer(*rows, total=len(counted)), EXCHANGE, answered_at=answered_at, sent_at=sent_at)

    def booking(self, uid: str) -> Booking | Unreadable:
        """GET /v2/bookings/{uid}: whoever knows the uid may read it."""
        self.calls.append("booking")
        if uid not in self.entries:
            raise NotFound("Reading a booking: not found")
        return one_booking(orjson.dumps({"data": self.entries[uid].shown()}), uid, EXCHANGE)

    def me(self) -> Profile:
        """GET /v2/me."""
        self.calls.append("me")
        return Profile(101, "alice", "Europe/Berlin")

    def teams(self) -> Listed[Team]:
        """GET /v2/teams."""
        self.calls.append("teams")
        shown = [n for n in self.key_teams if n not in self.unlisted_teams]
        return Listed(tuple(Team(n, f"team-{n}", f"Team {n}", "UTC") for n in shown), tuple(self.odd_teams))

    def is_refused_by(self, team_id: int) -> bool:
        """GET /v2/teams/{id}/memberships: a 403 or a 404."""
        self.calls.append("members")
        return team_id not in self.key_teams

    def role_in(self, team_id: int) -> str:
        """GET /v2/teams/{id}/memberships."""
        self.calls.append("role")
        return self.roles.get(team_id, "OWNER")

    def schedules(self) -> Listed[Any]:
        """Of no interest here."""
        return Listed()

    @contextmanager
    def counted_calls(self) -> Iterator[list[str]]:
        """The calls made inside the block."""
        before, found = len(self.calls), list[str]()
        yield found
        found.extend(self.calls[before:])


def _without_change_filters(query: BookingQuery) -> BookingQuery:
    sort = "start" if query.sort == "updatedAt" and query.listing.kind == "team" else query.sort
    none = dict.fromkeys(("after_updated_at", "before_updated_at", "after_created_at", "before_created_at"))
    return replace(query, sort=sort, **none)


def _passes(e: Entry, q: BookingQuery) -> bool:
    return (
        _inside(q.after_updated_at, e.updated, q.before_updated_at)
        and _inside(q.after_created_at, e.created, q.before_created_at)
        and _inside(q.after_start, e.start, None)
        and (q.event_type_id is None or e.event_type == q.event_type_id)
        and (q.uid is None or e.uid == q.uid)
    )


def _inside(low: datetime | None, key: datetime | None, high: datetime | None) -> bool:
    if low is None and high is None:
        return True
    return key is not None and (low is None or low <= key) and (high is None or key <= high)


def _sort_key(e: Entry, q: BookingQuery) -> tuple[bool, datetime]:
    key = {"updatedAt": e.updated, "createdAt": e.created, "start": e.start}[q.sort]
    return key is None, key or FAR


@dataclass
class Kept:
    """A row of the mirror in memory."""

    booking: Booking
    read_at: datetime
    listings: set[str]
    deleted: bool = False
    out_of_scope: bool = False


class MemoryMirror:
    """The mirror's contract on dictionaries; the one on PostgreSQL is tested against the same world."""

    policy = "keep"

    def __init__(self) -> None:
        self.rows: dict[str, Kept] = {}
        self.unreadable: dict[str, Unreadable] = {}
        self.states: dict[str, ListingState] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.stores = 0
        self.written = 0

    def state(self, listing: Listing) -> ListingState:
        return self.states.get(str(listing), ListingState())

    def outset(self) -> Outset:
        return Outset(self.state(MINE), frozenset(self.states), must_tighten=True, must_reclassify=True)

    def keep_listings(self, listings: Sequence[Listing]) -> int:
        names = {str(listing) for listing in listings}
        self.states = {name: state for name, state in self.states.items() if name in names}
        for kept in self.rows.values():
            kept.listings &= names
        return 0

    def looked(self, listing: Listing, scope: Scope, *, roles_seen_at: datetime | None, needs_full: str | None) -> None:
        state = self.state(listing)
        self.states[str(listing)] = replace(
            state,
            scope=scope,
            roles_looked_at=roles_seen_at or state.roles_looked_at,
            needs_full=needs_full or state.needs_full,
        )

    def position(self, stream: str, partition: str) -> Position | None:
        return self.positions.get((stream, partition))

    def begin(self, stream: str, partition: str) -> None:
        self.positions.pop((stream, partition), None)

    def store(
        self,
        page: BookingPage,
        *,
        listing: Listing,
        watermark: datetime | None = None,
        position: Position | None = None,
        covered: Covered | None = None,
    ) -> Stored:
        self.stores += 1
        added = changed = unchanged = 0
        for b in page.bookings:
            known = self.rows.get(b.uid)
            if known is None:
                self.rows[b.uid] = Kept(b, page.sent_at, {str(listing)})
                added += 1
            elif _is_newer(b, page.sent_at, known) and (
                known.booking.payload_hash != b.payload_hash
                or known.deleted
                or known.out_of_scope
                or str(listing) not in known.listings
            ):
                self.rows[b.uid] = Kept(b, page.sent_at, known.listings | {str(listing)})
                changed += 1
            else:
                unchanged += 1
        self.unreadable |= {r.keys.uid or r.raw.hex(): r for r in page.unreadable}
        unlisted = self._unlist(covered, listing, page.sent_at)
        if watermark is not None:
            self._forward(listing, watermark)
        if position is not None:
            key = (position.stream, position.partition)
            known_position = self.positions.get(key)
            if known_position is None or (
                known_position.started_at == position.started_at and position.reached > known_position.reached
            ):
                self.positions[key] = position
        self.written += added + changed
        return Stored(Changes(added, changed, 0, unchanged), unlisted)

    def _unlist(self, covered: Covered | None, listing: Listing, sent_at: datetime) -> int:
        unlisted = 0
        for uid, kept in self.rows.items() if covered else ():
            key = kept.booking.created_at if covered.sort == "createdAt" else kept.booking.start
            inside = key is not None and (covered.low is None or key >= covered.low)
            inside = inside and (covered.high is None or key < covered.high)
            if inside and uid not in covered.uids and kept.read_at < sent_at and str(listing) in kept.listings:
                kept.listings.discard(str(listing))
                unlisted += 1
        return unlisted

    def _forward(self, listing: Listing, watermark: datetime) -> None:
        state = self.state(listing)
        moved = max(watermark, state.watermark) if state.watermark else watermark
        self.states[str(listing)] = replace(state, watermark=moved)

    def finish(self, listing: Listing, end: ReadEnd) -> Finished:
        state = self.state(listing)
        settled = end.full and state.needs_full == end.full_because
        self.states[str(listing)] = replace(
            state,
            polled_at=end.polled_at,
            full_done_at=end.polled_at if end.full else state.full_done_at,
            total=end.total if end.total is not None else state.total,
            filters_changes=state.filters_changes if end.filters_changes is None else end.filters_changes,
            needs_full=None if settled else state.needs_full or end.needs_full,
        )
        if end.watermark is not None and end.full:
            self.states[str(listing)] = replace(self.state(listing), watermark=end.watermark)
        elif end.watermark is not None:
            self._forward(listing, end.watermark)
        if end.full:
            self.positions = {
                key: position
                for key, position in self.positions.items()
                if not position.partition.startswith(f"{listing} ") or position.started_at > end.polled_at
            }
        return Finished(self.state(listing), all_listed=not self.unlisted(1))

    def unlisted(self, limit: int) -> list[str]:
        found = (u for u, k in sorted(self.rows.items()) if not (k.listings or k.deleted or k.out_of_scope))
        return list(found)[:limit]

    def listed(self, limit: int) -> list[str]:
        return [u for u, k in sorted(self.rows.items()) if k.listings and not (k.deleted or k.out_of_scope)][:limit]

    def mark_gone(self, uid: str, *, read_at: datetime) -> None:
        self.rows[uid].deleted, self.rows[uid].read_at = True, read_at

    def mark_out_of_scope(self, uid: str, *, read_at: datetime) -> None:
        self.rows[uid].out_of_scope, self.rows[uid].read_at = True, read_at

    def tighten(self) -> int:
        return 0

    def reclassify(self) -> list[str]:
        return []

    def forget(self, *, before: datetime) -> int:
        old = [uid for uid, kept in self.rows.items() if kept.booking.end < before]
        for uid in old:
            del self.rows[uid]
        return len(old)

    def live(self, listing: Listing) -> int:
        live = sum(str(listing) in k.listings and not (k.deleted or k.out_of_scope) for k in self.rows.values())
        return live + len(self.unreadable.keys() - self.rows.keys())

    def contents(self) -> dict[str, bytes]:
        """What it holds as being there: uid and payload."""
        return {u: k.booking.raw for u, k in self.rows.items() if not (k.deleted or k.out_of_scope)}


def _is_newer(booking: Booking, read_at: datetime, known: Kept) -> bool:
    never = datetime.min.replace(tzinfo=UTC)
    stamp_is_newer = (booking.updated_at or never) > (known.booking.updated_at or never)
    return read_at >= known.read_at or (stamp_is_newer and not known.deleted)

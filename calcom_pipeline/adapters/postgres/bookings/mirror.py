"""The mirror of bookings: positions, listings, what is no longer shown. Storing a page is `booking_store.py`."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.availability.outbox import insert_facts
from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.bookings.people import Gatekeeper
from calcom_pipeline.adapters.postgres.bookings.privacy import Classifier, Tightener
from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions, Moves, PageStore, footprint_of
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement, tried_again
from calcom_pipeline.adapters.postgres.streams import (
    counts,
    lock_stream,
    move_watermark,
    read_watermark,
    set_watermark,
)
from calcom_pipeline.app.bookings.ports import Finished, Outset, Stored
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, Listing, facts_of
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.domain.bookings.positions import (
    CHANGES_STREAM,
    FULL_STREAM,
    Covered,
    ListingState,
    Position,
    ReadEnd,
    Scope,
)
from calcom_pipeline.domain.errors import StoreError

# A transaction of a second or so: longer ones would keep readers of changes waiting.
_FORGOTTEN_AT_ONCE = 5000


class PostgresBookingMirror:
    """The tables `bookings`, `booking_attendees`, `booking_hosts`, `quarantine`, `booking_listings`, and the outbox.

    One instance serves one thread at a time; threads have one each.
    """

    def __init__(
        self,
        database: Database,
        *,
        people: People | None = None,
        options: MirrorOptions | None = None,
        classifier: Classifier | None = None,
        tightener: Tightener | None = None,
    ) -> None:
        self._database = database
        self._classifier = classifier
        self._tightener = tightener
        self._gate = Gatekeeper(people or People())
        self._options = options or MirrorOptions()
        self._pages = PageStore(self._gate, self._options)

    @property
    def policy(self) -> str:
        """Names how people are kept."""
        return self._gate.policy

    # --- positions ---------------------------------------------------------------------------------------

    def state(self, listing: Listing) -> ListingState:
        """How far reads of a listing have come; instants are UTC."""
        with self._database.transaction("Reading how far bookings are", "read") as cursor:
            return _state(cursor, listing)

    def outset(self) -> Outset:
        """What a read of all listings begins with; one transaction."""
        with self._database.transaction("Reading how far bookings are", "read") as cursor:
            policies = dict(cursor.execute(queries.POLICIES).fetchall())
            return Outset(
                _state(cursor, MINE),
                frozenset(policies),
                must_tighten=self._tightener is not None and self._tightener.is_due(policies.values()),
                must_reclassify=self._classifier is not None and self._classifier.is_due(cursor),
            )

    @tried_again
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
        with self._database.transaction("Reading how far bookings are", "read") as cursor:
            cursor.execute(queries.POSITION, {"stream": stream, "partition": partition})
            row = cursor.fetchone()
        return Position(*row) if row else None

    @tried_again
    def begin(self, stream: str, partition: str) -> None:
        """Forget where an earlier read stopped."""
        with self._database.transaction("Beginning a read of bookings") as cursor:
            cursor.execute(queries.DROP_POSITION, {"stream": stream, "partition": partition})

    @tried_again
    def keep_listings(self, listings: Sequence[Listing]) -> int:
        """Forget listings that are no longer read; how many bookings lose one by that."""
        with self._database.transaction("Forgetting listings", "whole") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.FORGET_LISTINGS, {"listings": [str(listing) for listing in listings]})
            forgotten = [row[0] for row in cursor.fetchall()]
            if not forgotten:
                return 0
            cursor.execute(queries.LEAVE_LISTINGS, {"listings": forgotten})
            return cursor.rowcount

    @tried_again
    def finish(self, listing: Listing, end: ReadEnd) -> Finished:
        """A read has seen all it was to see; how far the listing is now."""
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
        with self._database.transaction("Ending a read of bookings", "whole") as cursor:
            cursor.execute(statement(queries.FINISH), values)
            if end.full:
                cursor.execute(statement(queries.DROP_FULL_POSITIONS), {**values, "stream": FULL_STREAM})
            if end.watermark is not None:
                move = set_watermark if end.full else move_watermark
                move(cursor, CHANGES_STREAM, str(listing), end.watermark, end.polled_at)
            all_listed = cursor.execute(statement(queries.UNLISTED), {"limit": 1}).fetchone() is None
            return Finished(_state(cursor, listing), all_listed)

    # --- pages -------------------------------------------------------------------------------------------

    @tried_again
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
        try:
            with self._database.transaction("Storing bookings") as cursor:
                return self._pages.store(cursor, page, listing, Moves(watermark, position, covered))
        except StoreError:
            self._gate.forget()
            raise

    # --- what is no longer shown -------------------------------------------------------------------------

    def unlisted(self, limit: int) -> list[str]:
        """Bookings that no listing shows and that are not yet proven gone."""
        return self._uids(queries.UNLISTED, limit)

    def listed(self, limit: int) -> list[str]:
        """Some bookings that are shown."""
        return self._uids(queries.LISTED, limit)

    def _uids(self, query: str, limit: int) -> list[str]:
        with self._database.transaction("Looking for bookings", "read") as cursor:
            cursor.execute(statement(query), {"limit": limit})
            return [row[0] for row in cursor.fetchall()]

    @tried_again
    def mark_gone(self, uid: str, *, read_at: datetime) -> None:
        """A booking is proven deleted: its time is free again."""
        values = {"uid": uid, "read_at": read_at}
        with self._database.transaction("Marking a deleted booking") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.FOOTPRINT, values)
            row = cursor.fetchone()
            cursor.execute(statement(queries.MARK_GONE), values)
            if row is not None and cursor.rowcount:
                gone = facts_of([(footprint_of(row), None)], now=read_at, horizon=self._options.horizon)
                insert_facts(cursor, gone)

    @tried_again
    def mark_out_of_scope(self, uid: str, *, read_at: datetime) -> None:
        """A booking exists, but the key no longer sees it: its time stays taken."""
        with self._database.transaction("Marking a booking out of scope") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(statement(queries.MARK_OUT_OF_SCOPE), {"uid": uid, "read_at": read_at})

    def reclassify(self) -> list[str]:
        """Tell private bookings apart anew; the uids of those that turn out to be ours."""
        return self._classifier.reclassify() if self._classifier else []

    def tighten(self) -> int:
        """Bring what was stored while more of people was kept under the present policy; how many that were."""
        return self._tightener.tighten() if self._tightener else 0

    def forget(self, *, before: datetime) -> int:
        """Drop bookings that ended before an instant, some thousands at a time; how many.

        And records in quarantine that were last seen before it.
        """
        with self._database.transaction("Dropping old records", "whole") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            cursor.execute(queries.FORGET_RECORDS, {"stream": CHANGES_STREAM, "before": before})
            forgotten = cursor.rowcount
        while True:
            with self._database.transaction("Dropping old bookings", "whole") as cursor:
                lock_stream(cursor, CHANGES_STREAM)
                cursor.execute(queries.FORGET, {"before": before, "limit": _FORGOTTEN_AT_ONCE})
                dropped = int(counts(cursor)[0])
            forgotten += dropped
            if dropped < _FORGOTTEN_AT_ONCE:
                return forgotten

    def live(self, listing: Listing) -> int:
        """Bookings that the listing shows, records in quarantine included."""
        with self._database.transaction("Counting bookings", "whole") as cursor:
            cursor.execute(queries.LIVE, {"listing": str(listing)})
            return int(counts(cursor)[0])


def _state(cursor: Cursor, listing: Listing) -> ListingState:
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

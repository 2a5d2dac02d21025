"""The mirror of bookings on a real PostgreSQL: versions, people, positions, facts, what is no longer shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, Listing
from calcom_pipeline.domain.bookings.positions import FULL_STREAM, Covered, Position, ReadEnd, Scope
from calcom_pipeline.domain.errors import StoreError
from tests.support.booking_rows import NOW, attendee, host, page, row, stamp
from tests.support.tables import fetch

SECOND = timedelta(seconds=1)
TEAM = Listing("team", 301)
TABLES = ("bookings", "booking_attendees", "booking_hosts")


@pytest.fixture
def mirror(database: Database) -> PostgresBookingMirror:
    return PostgresBookingMirror(database)


def store(mirror: PostgresBookingMirror, page: BookingPage, listing: Listing = MINE, **more: Any) -> Changes:
    return mirror.store(page, listing=listing, **more).changes


def tuples(database: Database) -> list[list[tuple[Any, ...]]]:
    return [fetch(database, f"SELECT xmin, xmax, ctid FROM {table} ORDER BY ctid") for table in TABLES]


def edited(uid: str = "abc", *, later: timedelta = SECOND, **changes: Any) -> dict[str, Any]:
    return row(uid, updatedAt=stamp(NOW + later), **changes)


class TestVersions:
    def test_a_page_is_mirrored_with_its_people_and_the_watermark(self, database: Database, mirror):
        assert mirror.state(MINE).watermark is None
        rows = (row("a", attendees=[attendee("Carol"), attendee("Dan")]), row("b"))
        assert store(mirror, page(*rows), watermark=NOW) == Changes(added=2)
        assert mirror.state(MINE).watermark == NOW
        people = fetch(database, "SELECT booking_uid, position, email FROM booking_attendees ORDER BY 1, 2")
        assert people[:2] == [("a", 0, "carol@example.org"), ("a", 1, "dan@example.org")]
        assert fetch(database, "SELECT user_id, username FROM booking_hosts") == [(101, "alice")] * 2

    def test_an_unchanged_page_touches_no_tuple(self, database: Database, mirror):
        rows = [row(f"u{n}") for n in range(50)]
        store(mirror, page(*rows), watermark=NOW)
        before = tuples(database)
        assert store(mirror, page(*rows, at=NOW + SECOND), watermark=NOW) == Changes(unchanged=50)
        assert tuples(database) == before

    def test_a_change_replaces_the_row_and_its_people(self, database: Database, mirror):
        store(mirror, page(row(attendees=[attendee("Carol"), attendee("Dan")])))
        assert store(mirror, page(edited(attendees=[attendee("Eve")]))) == Changes(changed=1)
        assert fetch(database, "SELECT position, email FROM booking_attendees") == [(0, "eve@example.org")]
        assert fetch(database, "SELECT count(*) FROM booking_hosts") == [(1,)]

    @pytest.mark.parametrize(
        ("later", "read_after", "wins"),
        [(5, -10, True), (5, 10, True), (-5, 10, True), (-5, -10, False), (0, 10, True), (0, -10, False)],
    )
    def test_a_later_read_wins_and_an_older_one_only_with_a_newer_stamp(
        self, database: Database, mirror, later: int, read_after: int, wins: bool
    ):
        store(mirror, page(row(title="first")))
        second = edited(later=timedelta(seconds=later), title="second")
        store(mirror, page(second, at=NOW + timedelta(seconds=read_after)))
        assert fetch(database, "SELECT title FROM bookings") == [("second" if wins else "first",)]

    @pytest.mark.parametrize(("read_after", "title"), [(1, "bare"), (-1, "stamped")])
    def test_a_stamp_may_be_taken_away(self, database: Database, mirror, read_after: int, title: str):
        store(mirror, page(row(title="stamped")))
        store(mirror, page(row(title="bare", updatedAt=None), at=NOW + read_after * SECOND))
        assert fetch(database, "SELECT title FROM bookings") == [(title,)]

    @pytest.mark.parametrize("column", ["deleted_at", "out_of_scope_at"])
    def test_a_row_that_had_gone_comes_back_even_if_nothing_else_changed(self, database: Database, mirror, column: str):
        store(mirror, page(row()))
        with database.transaction("Testing") as cursor:
            cursor.execute(f"UPDATE bookings SET {column} = now()")
        assert store(mirror, page(row(), at=NOW + SECOND)) == Changes(changed=1)
        assert fetch(database, f"SELECT {column} FROM bookings") == [(None,)]

    def test_a_page_that_was_asked_for_before_a_proof_does_not_bring_the_booking_back(self, database: Database, mirror):
        store(mirror, page(row()))
        mirror.mark_gone("abc", read_at=NOW + 5 * SECOND)
        store(mirror, page(row(title="late"), at=NOW + SECOND))
        assert fetch(database, "SELECT deleted_at FROM bookings") == [(NOW + 5 * SECOND,)]

    def test_the_watermark_never_moves_back(self, mirror):
        store(mirror, page(), watermark=NOW)
        store(mirror, page(), watermark=NOW - timedelta(1))
        assert mirror.state(MINE).watermark == NOW

    def test_one_page_may_show_a_booking_twice(self, database: Database, mirror):
        assert store(mirror, page(row(), row())) == Changes(added=1)

    def test_rows_positions_and_facts_are_written_together_or_not_at_all(self, database: Database, mirror):
        with database.transaction("Testing") as cursor:
            cursor.execute("ALTER TABLE invalidations ADD CONSTRAINT broken CHECK (kind = 'nothing')")
        position = Position(FULL_STREAM, "mine first read", NOW, NOW)
        with pytest.raises(StoreError):
            store(mirror, page(row()), watermark=NOW, position=position)
        assert mirror.state(MINE).watermark is None
        assert mirror.position(FULL_STREAM, "mine first read") is None
        assert fetch(database, "SELECT count(*) FROM bookings") == [(0,)]

    def test_odd_values_are_stored_as_they_are(self, database: Database, mirror):
        odd = row(
            start=datetime(1, 1, 2, tzinfo=UTC),
            end="9999-12-31T23:59:59.999Z",
            updatedAt=None,
            title="tab\t, newline\n, \\N, \\. and 😀, " + "x" * 1_000_000,
            hosts=[dict.fromkeys(("id", "name", "email", "username", "timeZone"), "unknown")],
            attendees=[attendee("o'Neil \\ \t", email="")],
        )
        assert store(mirror, page(odd)) == Changes(added=1)
        stored = fetch(database, "SELECT starts_at, updated_at, title, raw FROM bookings")
        assert stored == [(datetime(1, 1, 2, tzinfo=UTC), None, odd["title"], odd)]


class TestPositions:
    def test_a_read_owns_its_position_and_a_newer_one_takes_it_over(self, mirror):
        first = Position(FULL_STREAM, "mine asked for", NOW, NOW)
        store(mirror, page(), position=first)
        mirror.begin(FULL_STREAM, "mine asked for")
        second = Position(FULL_STREAM, "mine asked for", NOW - timedelta(days=9), NOW + SECOND)
        store(mirror, page(), position=second)
        overtaken = Position(FULL_STREAM, "mine asked for", NOW + timedelta(days=9), NOW)
        store(mirror, page(), position=overtaken)
        assert mirror.position(FULL_STREAM, "mine asked for") == second

    def test_a_full_read_settles_its_reason_and_no_later_one(self, mirror):
        mirror.looked(MINE, Scope((301,)), roles_seen_at=None, needs_full="teams (8:00)")
        mirror.finish(MINE, ReadEnd(NOW, full=True, full_because="teams (7:00)"))
        assert mirror.state(MINE).needs_full == "teams (8:00)"
        mirror.finish(MINE, ReadEnd(NOW, full=True, full_because="teams (8:00)"))
        state = mirror.state(MINE)
        assert (state.needs_full, state.full_done_at, state.scope) == (None, NOW, Scope((301,)))

    def test_positions_that_a_full_read_makes_moot_are_dropped(self, mirror):
        for started_at in (NOW, NOW + SECOND):
            partition = f"mine since {started_at}"
            store(mirror, page(), position=Position(FULL_STREAM, partition, NOW, started_at))
        mirror.finish(MINE, ReadEnd(NOW, full=True))
        assert mirror.position(FULL_STREAM, f"mine since {NOW}") is None
        assert mirror.position(FULL_STREAM, f"mine since {NOW + SECOND}") is not None

    def test_roles_are_kept_with_the_scope(self, mirror):
        scope = Scope((301, 302), ((301, "OWNER"), (302, "MEMBER")))
        mirror.looked(MINE, scope, roles_seen_at=NOW, needs_full=None)
        state = mirror.state(MINE)
        assert (state.scope, state.roles_looked_at) == (scope, NOW)


class TestListings:
    def test_a_row_that_several_listings_show_names_them_all(self, database: Database, mirror):
        store(mirror, page(row()))
        assert store(mirror, page(row(), at=NOW + SECOND), TEAM) == Changes(changed=1)
        assert store(mirror, page(row(), at=NOW + 2 * SECOND)) == Changes(unchanged=1)
        assert fetch(database, "SELECT listings FROM bookings") == [(["mine", "team:301"],)]

    def test_a_listing_that_no_longer_shows_a_row_loses_it_and_only_it(self, database: Database, mirror):
        store(mirror, page(row("a"), row("b")))
        store(mirror, page(row("b")), TEAM)
        covered = Covered("createdAt", None, None, frozenset())
        stored = mirror.store(page(at=NOW + SECOND), listing=MINE, covered=covered)
        assert stored.unlisted == 2
        assert mirror.unlisted(10) == ["a"]
        assert mirror.listed(10) == ["b"]

    @pytest.mark.parametrize(
        ("low", "high", "lost"),
        [
            (None, None, True),
            (NOW, NOW + SECOND, True),
            (NOW - SECOND, NOW, False),
            (NOW + SECOND, None, False),
            (None, NOW, False),
        ],
    )
    @pytest.mark.parametrize("sort", ["createdAt", "start"])
    def test_only_keys_that_were_shown_completely_count(self, mirror, low, high, lost: bool, sort: Any):
        store(mirror, page(row()))
        mirror.store(page(at=NOW + SECOND), listing=MINE, covered=Covered(sort, low, high, frozenset({"other"})))
        assert mirror.unlisted(10) == (["abc"] if lost else [])

    def test_a_row_that_was_stored_from_a_later_read_is_not_lost(self, mirror):
        store(mirror, page(row(), at=NOW + 5 * SECOND))
        mirror.store(page(at=NOW), listing=MINE, covered=Covered("createdAt", None, None, frozenset()))
        assert mirror.unlisted(10) == []

    def test_listings_that_are_no_longer_read_are_forgotten(self, mirror):
        store(mirror, page(row("a")), TEAM)
        store(mirror, page(row("b")))
        mirror.finish(TEAM, ReadEnd(NOW, full=True))
        mirror.finish(MINE, ReadEnd(NOW, full=True))
        assert mirror.keep_listings([MINE]) == 1
        assert mirror.unlisted(10) == ["a"]
        assert mirror.keep_listings([MINE]) == 0

    def test_out_of_scope_rows_stay_but_are_no_longer_counted(self, mirror):
        store(mirror, page(row("a"), row("b"), {**row("c"), "start": 7}))
        assert mirror.live(MINE) == 3
        mirror.mark_out_of_scope("a", read_at=NOW + SECOND)
        assert mirror.live(MINE) == 2


def facts(database: Database) -> list[tuple[Any, ...]]:
    query = "SELECT event_type_id, user_ids, starts, ends FROM invalidations WHERE kind = 'booking' ORDER BY id"
    found = fetch(database, query)
    with database.transaction("Testing") as cursor:
        cursor.execute("DELETE FROM invalidations")
    return found


HALF_HOUR = timedelta(minutes=30)
TOMORROW = NOW + timedelta(days=1)


class TestFacts:
    def test_a_new_booking_tells_its_time_and_its_host(self, database: Database, mirror):
        store(mirror, page(row(start=TOMORROW)))
        assert facts(database) == [(7, [101], [TOMORROW], [TOMORROW + HALF_HOUR])]

    def test_a_page_is_coalesced_by_event_type_and_people(self, database: Database, mirror):
        rows = [row(f"u{n}", start=TOMORROW + n * HALF_HOUR) for n in range(4)]
        store(mirror, page(*rows, row("v", start=TOMORROW, hosts=[host(102, "bob")])))
        assert [(fact[1], len(fact[2])) for fact in facts(database)] == [([101], 4), ([102], 1)]

    def test_a_reassigned_booking_tells_both_hosts(self, database: Database, mirror):
        store(mirror, page(row(start=TOMORROW)))
        facts(database)
        store(mirror, page(edited(start=TOMORROW, hosts=[host(102, "bob")])))
        assert facts(database) == [(7, [101, 102], [TOMORROW], [TOMORROW + HALF_HOUR])]

    def test_a_move_behind_our_back_tells_both_times(self, database: Database, mirror):
        store(mirror, page(row(start=TOMORROW)))
        facts(database)
        store(mirror, page(edited(start=TOMORROW + 2 * HALF_HOUR)))
        assert facts(database)[0][2] == [TOMORROW, TOMORROW + 2 * HALF_HOUR]

    def test_an_attendee_who_is_a_user_is_named_even_when_addresses_are_dropped(self, database: Database):
        from calcom_pipeline.domain.bookings.people import People

        mirror = PostgresBookingMirror(database, people=People("drop"))
        store(mirror, page(row("a", hosts=[host(102, "bob")])))
        facts(database)
        collective = row("b", start=TOMORROW, attendees=[attendee("Max"), attendee("Bob", email="Bob@example.com")])
        store(mirror, page(collective))
        assert facts(database)[0][1] == [101, 102]
        store(mirror, page(edited("b", start=TOMORROW, attendees=[attendee("Max")])))
        assert facts(database)[0][1] == [101, 102]

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"status": "cancelled"}, True),
            ({"attendees": [attendee("Carol"), attendee("Dan")]}, True),
            ({"eventTypeId": None, "eventType": None}, True),
            ({"title": "another"}, False),
            ({"location": "elsewhere"}, False),
            ({"absentHost": True}, False),
        ],
    )
    def test_only_what_decides_about_free_slots_is_told(self, database: Database, mirror, changes, told: bool):
        store(mirror, page(row(start=TOMORROW)))
        facts(database)
        assert store(mirror, page(edited(start=TOMORROW, **changes))) == Changes(changed=1)
        assert bool(facts(database)) is told

    @pytest.mark.parametrize(
        ("start", "minutes", "spans"),
        [
            (NOW - timedelta(days=3), 30, []),
            (NOW + timedelta(days=40), 30, []),
            (datetime(1, 1, 1, tzinfo=UTC), 60 * 24 * 365 * 9000, [(-1, 29)]),
        ],
    )
    def test_only_times_that_can_be_cached_are_told(self, database: Database, mirror, start, minutes: int, spans):
        store(mirror, page(row(start=start, minutes=minutes)))
        found = [((f[2][0] - NOW).days, (f[3][0] - NOW).days) for f in facts(database)]
        assert found == spans

    def test_cancelled_ones_that_are_new_close_nothing(self, database: Database, mirror):
        store(mirror, page(row(start=TOMORROW, status="cancelled")))
        assert facts(database) == []

    def test_a_proven_deletion_frees_its_time_once(self, database: Database, mirror):
        store(mirror, page(row(start=TOMORROW)))
        facts(database)
        mirror.mark_gone("abc", read_at=NOW + SECOND)
        mirror.mark_gone("abc", read_at=NOW + SECOND)
        assert [fact[:3] for fact in facts(database)] == [(7, [101], [TOMORROW])]

    def test_hosts_become_known_users(self, database: Database, mirror):
        store(mirror, page(row(), row("b", hosts=[host(102, "bob")])))
        query = "SELECT user_id, email, username, xmin FROM calcom_users ORDER BY user_id"
        before = fetch(database, query)
        assert [r[:3] for r in before] == [(101, "alice@example.com", "alice"), (102, "bob@example.com", "bob")]
        store(PostgresBookingMirror(database), page(edited()))
        assert fetch(database, query) == before


class TestQuarantine:
    def test_a_record_is_kept_once_and_counted(self, database: Database, mirror):
        broken = {**row(), "title": "with\x00NUL"}
        for _ in range(2):
            store(mirror, page(broken, row("other")))
        kept = fetch(database, "SELECT stream, uid, raw, reason, times_seen FROM quarantine")
        assert [(stream, uid, n) for stream, uid, _, _, n in kept] == [("bookings", "abc", 2)]
        assert orjson.loads(kept[0][2]) == broken
        assert fetch(database, "SELECT uid FROM bookings") == [("other",)]

    def test_it_is_settled_when_the_booking_is_read_at_last_and_the_record_stays(self, database: Database, mirror):
        store(mirror, page({**row(), "start": 7}))
        store(mirror, page(row(), at=NOW + SECOND))
        assert fetch(database, "SELECT uid, resolved_at FROM quarantine") == [("abc", NOW + SECOND)]

    def test_an_older_read_settles_nothing(self, database: Database, mirror):
        store(mirror, page({**row(), "start": 7}))
        store(mirror, page(row(), at=NOW - SECOND))
        assert fetch(database, "SELECT resolved_at FROM quarantine") == [(None,)]


class TestRetention:
    def test_what_is_too_old_is_not_stored(self, database: Database):
        mirror = PostgresBookingMirror(database, options=MirrorOptions(keep_past=timedelta(days=30)))
        old, young = row("old", start=NOW - timedelta(days=31)), row("young", start=NOW - timedelta(days=29))
        stored = mirror.store(page(old, young), listing=MINE)
        assert (stored.changes, stored.too_old) == (Changes(added=1), 1)


def appointments(database: Database) -> list[tuple[Any, ...]]:
    return fetch(database, "SELECT first_uid, uid, moves FROM appointments ORDER BY uid")


class TestAppointments:
    def test_a_chain_of_moves_is_one_appointment(self, database: Database, mirror):
        moved = {"status": "cancelled"}
        chain = [
            row("a", id=1, rescheduledToUid="b", **moved),
            row("b", id=2, rescheduledFromUid="a", rescheduledToUid="c", **moved),
            row("c", id=3, rescheduledFromUid="b"),
            row("alone", id=4),
        ]
        store(mirror, page(*chain))
        assert appointments(database) == [("alone", "alone", 0), ("a", "c", 2)]

    def test_one_that_was_moved_and_then_cancelled_is_still_one(self, database: Database, mirror):
        rows = [row("a", id=1, status="cancelled"), row("b", id=2, rescheduledFromUid="a", status="cancelled")]
        store(mirror, page(*rows))
        assert appointments(database) == [("a", "b", 1)]

    def test_a_class_that_one_seat_was_moved_out_of_stays(self, database: Database, mirror):
        store(mirror, page(row("class", id=1), row("moved", id=2, rescheduledFromUid="class")))
        assert appointments(database) == [("class", "class", 0), ("class", "moved", 1)]

    def test_two_seats_moved_apart_are_two(self, database: Database, mirror):
        rows = [row("class", id=1, status="cancelled")]
        rows += [row(uid, id=n, rescheduledFromUid="class") for n, uid in enumerate("bc", start=2)]
        store(mirror, page(*rows))
        assert appointments(database) == [("class", "b", 1), ("class", "c", 1)]

    def test_a_chain_whose_beginning_is_not_mirrored_begins_later(self, database: Database, mirror):
        store(mirror, page(row("b", id=2, rescheduledFromUid="unknown")))
        assert appointments(database) == [("b", "b", 0)]

    def test_references_that_run_in_circles_end(self, database: Database, mirror):
        store(mirror, page(row("a", id=1, rescheduledFromUid="b"), row("b", id=2, rescheduledFromUid="a")))
        assert appointments(database) == [("a", "a", 0), ("a", "b", 1)]

    def test_deleted_bookings_are_no_appointments(self, database: Database, mirror):
        store(mirror, page(row("a"), row("b", id=2)))
        mirror.mark_gone("a", read_at=NOW + SECOND)
        assert appointments(database) == [("b", "b", 0)]

    def test_tens_of_thousands_are_folded_in_a_moment(self, database: Database, mirror):
        """Three of ten were moved, one of them twice; looking through all bookings for each takes a minute."""
        store(mirror, page(row("template", status="cancelled")))
        columns = "title, cancellation_reason, absent_host, raw, payload_hash, read_started_at, starts_at, ends_at"
        with database.transaction("Testing") as cursor:
            cursor.execute(
                f"""INSERT INTO bookings (uid, id, status, rescheduled_from_uid, {columns})
                    SELECT 'u' || n, n + 1, CASE WHEN n % 10 IN (1, 2, 5) THEN 'cancelled' ELSE 'accepted' END,
                           CASE WHEN n % 10 IN (2, 3, 6) THEN 'u' || n - 1 END, {columns}
                    FROM bookings, generate_series(1, 60000) n WHERE uid = 'template'"""
            )
            cursor.execute("ANALYZE bookings")
            cursor.execute("SET LOCAL statement_timeout TO '15s'")
            cursor.execute("SELECT moves, count(*) FROM appointments WHERE uid <> 'template' GROUP BY 1 ORDER BY 1")
            assert cursor.fetchall() == [(0, 30_000), (1, 6_000), (2, 6_000)]

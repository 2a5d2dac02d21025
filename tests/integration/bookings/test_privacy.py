"""People in the mirror on a real PostgreSQL: policies, erasing with tombstone and receipt, private bookings, retention,
records that are read once more.
"""

import hmac
import re
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from calcom_pipeline.adapters.calcom.bookings.rows import replayed
from calcom_pipeline.adapters.postgres.bookings import privacy
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.privacy import Eraser, Tightener, load_pseudonyms
from calcom_pipeline.adapters.postgres.bookings.quarantine import PostgresQuarantine
from calcom_pipeline.adapters.postgres.bookings.store import MirrorOptions
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.bookings.quarantine import ReplayReport, replay
from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.domain.bookings.positions import ReadEnd
from calcom_pipeline.domain.errors import ConfigurationError, NotFound
from calcom_pipeline.domain.event_types.models import Owner
from tests.support.booking_rows import NOW, attendee, host, page, row, stamp
from tests.support.people import everything
from tests.support.tables import fetch

CAROL = "carol@example.org"
ZOE, ZOE_ASCII, HAN = "zoë.müller@exämple.org", "zoë.müller@xn--exmple-cua.org", "用户@例子.公司"
SECOND = timedelta(seconds=1)


class TestPolicies:
    @pytest.mark.parametrize("policy", ["hash", "drop"])
    def test_nothing_that_tells_who_booked_reaches_a_table(self, database: Database, policy: Any):
        people = People(policy, load_pseudonyms(database, None))
        mirror = PostgresBookingMirror(database, people=people)
        mirror.store(page(row(), {**row("bad"), "start": 7}), listing=MINE)
        assert "arol" not in everything(database)
        assert fetch(database, "SELECT count(*) FROM booking_attendees") == [(1,)]

    def test_an_unchanged_booking_is_unchanged_under_any_policy(self, database: Database):
        mirror = PostgresBookingMirror(database, people=People("hash", load_pseudonyms(database, None)))
        mirror.store(page(row()), listing=MINE)
        assert mirror.store(page(row(), at=NOW + SECOND), listing=MINE).changes == Changes(unchanged=1)

    def test_another_policy_rewrites_what_it_reads(self, database: Database):
        PostgresBookingMirror(database).store(page(row()), listing=MINE)
        mirror = PostgresBookingMirror(database, people=People("drop", load_pseudonyms(database, None)))
        assert mirror.store(page(row(), at=NOW + SECOND), listing=MINE).changes == Changes(changed=1)
        assert "arol" not in everything(database)


class TestKey:
    def test_one_is_made_once_and_kept(self, database: Database):
        assert load_pseudonyms(database, None) == load_pseudonyms(database, None)

    def test_a_given_one_is_not_kept_but_recognised(self, database: Database):
        load_pseudonyms(database, b"secret")
        assert fetch(database, "SELECT secret FROM privacy_key") == [(None,)]
        assert load_pseudonyms(database, b"secret").key == b"secret"

    @pytest.mark.parametrize(("first", "second"), [(b"one", b"two"), (None, b"two"), (b"one", None)])
    def test_another_one_than_before_is_refused(self, database: Database, first: bytes | None, second: bytes | None):
        load_pseudonyms(database, first)
        with pytest.raises(ConfigurationError, match="another key"):
            load_pseudonyms(database, second)


class TestErasing:
    @staticmethod
    def filled(database: Database, policy: Any = "keep") -> tuple[PostgresBookingMirror, Eraser]:
        people = People(policy, load_pseudonyms(database, None))
        mirror = PostgresBookingMirror(database, people=people)
        class_of_two = row("class", attendees=[attendee("Dan"), attendee("Carol")])
        mentions = row("mentions", attendees=[attendee("Dan")], bookingFieldsResponses={"notes": f"from {CAROL}"})
        others = row("other", attendees=[attendee("Dan")], bookingFieldsResponses={})
        unreadable = {**row("bad"), "start": 7}
        mirror.store(page(row("hers"), class_of_two, mentions, others, unreadable), listing=MINE)
        return mirror, Eraser(database, people, replayed)

    def test_one_person_goes_from_every_table_and_the_others_stay(self, database: Database):
        _, eraser = self.filled(database)
        receipt = eraser.erase(" Carol@Example.org ", now=NOW)
        assert (receipt.bookings, receipt.quarantined, receipt.still_host_of) == (3, 1, 0)
        assert CAROL not in everything(database)
        people = fetch(database, "SELECT booking_uid, email FROM booking_attendees ORDER BY booking_uid, position")
        dan = "dan@example.org"
        assert people == [("class", dan), ("class", None), ("hers", None), ("mentions", dan), ("other", dan)]
        (title,) = fetch(database, "SELECT title FROM bookings WHERE uid = 'other'")
        assert title == (row()["title"],)

    @pytest.mark.parametrize(
        "spelled", ["Carol+Box@Example.org", "carol%2Bbox%40example.org", "carol%2bbox@example.org"]
    )
    def test_an_address_is_found_as_web_addresses_write_it(self, database: Database, spelled: str):
        mirror, eraser = self.filled(database)
        link = row(
            "link", attendees=[attendee("Dan")], bookingFieldsResponses={}, location=f"https://x.example/{spelled}"
        )
        mirror.store(page(link), listing=MINE)
        assert eraser.erase("carol+box@example.org", now=NOW).bookings == 1
        assert spelled not in everything(database)
        mirror.store(page({**link, "updatedAt": stamp(NOW + SECOND)}, at=NOW + SECOND), listing=MINE)
        assert spelled not in everything(database)

    def test_the_receipt_is_kept_and_names_nobody(self, database: Database):
        _, eraser = self.filled(database)
        receipt = eraser.erase(CAROL, now=NOW)
        ((kept, at),) = fetch(database, "SELECT receipt, erased_at FROM erasures")
        assert at == NOW
        assert kept["bookings"] == receipt.bookings
        assert "carol" not in repr(kept) + repr(receipt)

    def test_the_next_read_does_not_bring_the_person_back(self, database: Database):
        mirror, eraser = self.filled(database)
        eraser.erase(CAROL, now=NOW)
        rows = [row("hers"), row("new", title="Carol again", updatedAt=stamp(NOW + SECOND))]
        for at in (NOW + SECOND, NOW + 2 * SECOND):
            stored = mirror.store(page(*rows, at=at), listing=MINE)
        assert CAROL not in everything(database)
        assert stored.changes == Changes(unchanged=2)

    def test_nor_does_a_process_that_was_running_before(self, database: Database):
        _, eraser = self.filled(database)
        running = PostgresBookingMirror(database, people=People("keep", load_pseudonyms(database, None)))
        running.store(page(row("warm", attendees=[])), listing=MINE)
        eraser.erase(CAROL, now=NOW)
        running.store(
            page(row("hers", title="Carol moved", updatedAt=stamp(NOW + SECOND)), at=NOW + SECOND), listing=MINE
        )
        assert CAROL not in everything(database)

    def test_hashed_people_can_be_erased_too(self, database: Database):
        _, eraser = self.filled(database, "hash")
        pseudonyms = load_pseudonyms(database, None)
        token, dans = pseudonyms.token(CAROL), pseudonyms.token("dan@example.org")
        assert token in everything(database)
        assert eraser.erase(CAROL, now=NOW).bookings == 2
        assert token not in everything(database)
        people = fetch(database, "SELECT booking_uid, email FROM booking_attendees ORDER BY booking_uid, position")
        assert people == [("class", dans), ("class", None), ("hers", None), ("mentions", dans), ("other", dans)]

    @pytest.mark.parametrize(
        "address", ["o'brien@example.com", "jane/x@y.com", "müller&co@x.de", '"jane doe"@x.de', "**jane@example.com"]
    )
    @pytest.mark.parametrize("policy", ["keep", "hash"])
    def test_an_address_with_odd_characters_can_be_erased(self, database: Database, address: str, policy: Any):
        mirror, eraser = self.filled(database, policy)
        hers = row("odd", attendees=[attendee("Jane", email=address)], bookingFieldsResponses={"notes": f"!{address}!"})
        bad = {**row("worse"), "start": 7, "title": f"for {address}!"}
        mirror.store(page(hers, bad), listing=MINE)
        receipt = eraser.erase(address.upper(), now=NOW)
        assert (receipt.bookings, receipt.quarantined) == (1, 1 if policy == "keep" else 0)
        assert fetch(database, "SELECT email FROM booking_attendees WHERE booking_uid = 'odd'") == [(None,)]
        mirror.store(page({**hers, "updatedAt": stamp(NOW + SECOND)}, at=NOW + SECOND), listing=MINE)
        assert fetch(database, "SELECT email FROM booking_attendees WHERE booking_uid = 'odd'") == [(None,)]
        assert address not in everything(database)

    @pytest.mark.parametrize("policy", ["keep", "hash"])
    @pytest.mark.parametrize(("stored", "asked"), [(ZOE, ZOE_ASCII), (ZOE_ASCII, ZOE), (ZOE.upper(), ZOE), (HAN, HAN)])
    def test_an_address_is_erased_in_either_spelling_and_comes_back_in_none(
        self, database: Database, policy: Any, stored: str, asked: str
    ):
        mirror, eraser = self.filled(database, policy)
        hers = row(
            "hers too", attendees=[attendee("Zoe", email=stored)], bookingFieldsResponses={"notes": f"({stored})"}
        )
        bad = {**row("worse"), "start": 7, "title": f"for {stored}!"}
        mirror.store(page(hers, bad, {**row("hosted"), "hosts": [host(102, "zoe") | {"email": stored}]}), listing=MINE)
        receipt = eraser.erase(asked, now=NOW)
        assert (receipt.bookings, receipt.users, receipt.still_host_of) == (1, 1, 1)
        assert receipt.quarantined == (1 if policy == "keep" else 0)
        tokens = load_pseudonyms(database, None).tokens(stored)
        for number, spelled in enumerate((ZOE, ZOE_ASCII) if stored != HAN else (HAN,), 1):
            again = {**hers, "attendees": [attendee("Zoe", email=spelled)], "updatedAt": stamp(NOW + number * SECOND)}
            mirror.store(page(again, at=NOW + number * SECOND), listing=MINE)
            left = fetch(database, "SELECT email FROM booking_attendees WHERE booking_uid = 'hers too'")
            assert left == [(None,)]
            assert not any(token in everything(database) for token in tokens)

    def test_a_tombstone_from_before_addresses_had_one_form_still_holds(self, database: Database):
        mirror, _ = self.filled(database)
        old = hmac.digest(load_pseudonyms(database, None).key, ZOE.encode(), "sha256")
        with database.transaction("Testing") as cursor:
            cursor.execute("INSERT INTO erasures (subject, erased_at, receipt) VALUES (%s, now(), '{}')", (old,))
        mirror.store(page(row("new", attendees=[attendee("Zoe", email=ZOE_ASCII)]), at=NOW + SECOND), listing=MINE)
        assert fetch(database, "SELECT email FROM booking_attendees WHERE booking_uid = 'new'") == [(None,)]

    @pytest.mark.parametrize("policy", ["keep", "hash"])
    def test_somebody_known_by_a_number_alone_is_erased_by_it(self, database: Database, policy: Any):
        mirror, eraser = self.filled(database, policy)
        pia = attendee("Pia", email="49171555666@sms.cal.com", displayEmail=None, phoneNumber="+49171555666")
        hers = row("by number", attendees=[pia], bookingFieldsResponses={"attendeePhoneNumber": "+49171555666"})
        noted = row(
            "noted", attendees=[attendee("Dan")], description="call +49 (0)171 555-666", bookingFieldsResponses={}
        )
        bad = {**row("worse"), "start": 7, "title": "for 0049 171 555666"}
        mirror.store(page(hers, noted, bad), listing=MINE)
        receipt = eraser.erase("+49 171 555 666", now=NOW)
        assert (receipt.bookings, receipt.quarantined) == ((2, 1) if policy == "keep" else (1, 0))
        for number in range(2):
            if number:
                moved = [{**r, "updatedAt": stamp(NOW + SECOND)} for r in (hers, noted)]
                mirror.store(page(*moved, at=NOW + SECOND), listing=MINE)
            uids = "booking_uid IN ('by number', 'noted')"
            query = f"SELECT email IS NULL, phone_number FROM booking_attendees WHERE {uids} ORDER BY booking_uid"
            assert fetch(database, query) == [(True, None), (False, None)]
            assert "171" not in re.findall(r"\d+", everything(database))
            assert load_pseudonyms(database, None).token("+49171555666") not in everything(database)

    def test_erasing_again_finds_nothing_more(self, database: Database):
        _, eraser = self.filled(database)
        first = eraser.erase(CAROL, now=NOW)
        again = eraser.erase(CAROL, now=NOW + SECOND)
        assert (again.id, again.bookings, again.quarantined) == (first.id, 0, 0)

    def test_a_host_stays_the_host_and_the_receipt_says_so(self, database: Database):
        _, eraser = self.filled(database)
        receipt = eraser.erase("alice@example.com", now=NOW)
        assert (receipt.bookings, receipt.users, receipt.still_host_of) == (0, 1, 4)
        assert fetch(database, "SELECT email FROM calcom_users") == [(None,)]

    def test_somebody_nobody_knows_leaves_a_tombstone_all_the_same(self, database: Database):
        _, eraser = self.filled(database)
        assert eraser.erase("eve@example.org", now=NOW).bookings == 0
        assert fetch(database, "SELECT count(*) FROM erasures") == [(1,)]


ME, TEAM = Owner("user", 101), Owner("team", 301)


class TestAnotherPolicy:
    """What Cal.com no longer lists is never read again, so it has to be brought under a stricter policy from here."""

    @staticmethod
    def mirror(database: Database, policy: Any) -> PostgresBookingMirror:
        people = People(policy, load_pseudonyms(database, None))
        return PostgresBookingMirror(database, people=people, tightener=Tightener(database, people, replayed))

    def read_fully(self, database: Database, policy: Any, *rows: dict[str, Any], at: datetime = NOW) -> None:
        mirror = self.mirror(database, policy)
        mirror.store(page(*rows, at=at), listing=MINE)
        mirror.finish(MINE, ReadEnd(at, full=True))

    @pytest.mark.parametrize(("before", "after"), [("keep", "hash"), ("keep", "drop"), ("hash", "drop")])
    def test_a_stricter_one_reaches_what_is_not_listed_any_more(self, database: Database, before: Any, after: Any):
        told = row("told", attendees=[attendee("Carol"), attendee("Dan")], cancelledByEmail=CAROL)
        self.read_fully(database, before, row("gone"), told, {**row("bad"), "start": 7})
        self.mirror(database, before).mark_gone("gone", read_at=NOW + SECOND)
        mirror = self.mirror(database, after)
        assert mirror.tighten() == 2 + (before == "keep")  # what was hashed left nothing of a record
        assert "arol" not in everything(database)
        if after == "drop":
            token = load_pseudonyms(database, None).token(CAROL)
            assert token not in everything(database)
        assert mirror.tighten() == 0

    @pytest.mark.parametrize(("before", "after"), [("keep", "hash"), ("keep", "drop"), ("hash", "drop")])
    def test_it_leaves_just_what_a_read_under_it_would_have_stored(self, database: Database, before: Any, after: Any):
        told = row("told", attendees=[attendee("Carol"), attendee("Dan")], guests=["eve@example.org"])
        self.read_fully(database, before, told)
        mirror = self.mirror(database, after)
        mirror.tighten()
        assert mirror.store(page(told, at=NOW + SECOND), listing=MINE).changes == Changes(unchanged=1)
        tables = ("to_jsonb(bookings) - 'read_started_at'", "bookings"), ("to_jsonb(p)", "booking_attendees p")
        tightened = [fetch(database, f"SELECT {what} FROM {table} ORDER BY 1") for what, table in tables]
        fetch(database, "DELETE FROM bookings RETURNING uid")
        fetch(database, "DELETE FROM booking_attendees RETURNING 1")
        fetch(database, "DELETE FROM booking_hosts RETURNING 1")
        mirror.store(page(told, at=NOW + 2 * SECOND), listing=MINE)
        assert [fetch(database, f"SELECT {what} FROM {table} ORDER BY 1") for what, table in tables] == tightened

    @pytest.mark.parametrize(
        ("before", "after"), [("hash", "keep"), ("drop", "hash"), ("drop", "keep"), ("hash", "hash")]
    )
    def test_one_that_is_no_stricter_leaves_everything_as_it_is(self, database: Database, before: Any, after: Any):
        self.read_fully(database, before, row("gone"))
        stored = everything(database)
        assert self.mirror(database, after).tighten() == 0
        assert everything(database) == stored

    def test_once_a_full_read_has_ended_under_it_nobody_looks_again(self, database: Database):
        self.read_fully(database, "keep", row("gone"))
        self.read_fully(database, "drop", at=NOW + SECOND)
        assert self.mirror(database, "drop").tighten() == 0
        assert CAROL in everything(database)

    def test_a_payload_that_cannot_be_taken_apart_is_emptied_once(self, database: Database):
        self.read_fully(database, "keep", row("odd"))
        fetch(database, "UPDATE bookings SET raw = raw || '{\"start\": 7}' RETURNING uid")
        assert [self.mirror(database, "drop").tighten() for _ in range(2)] == [1, 0]
        assert "arol" not in everything(database)

    def test_more_bookings_than_are_done_at_once_are_all_done(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(privacy, "_ROWS_AT_ONCE", 2)
        self.read_fully(database, "keep", *(row(f"u{n}") for n in range(5)))
        assert self.mirror(database, "drop").tighten() == 5
        assert "arol" not in everything(database)


class TestRetention:
    def test_old_bookings_are_dropped_with_their_people_and_stay_away(self, database: Database):
        mirror = PostgresBookingMirror(database, options=MirrorOptions(keep_past=timedelta(days=30)))
        rows = [row(f"u{n}", start=NOW - timedelta(days=n)) for n in (10, 25, 29)]
        mirror.store(page(*rows), listing=MINE)
        assert mirror.forget(before=NOW - timedelta(days=20)) == 2
        assert fetch(database, "SELECT uid FROM bookings") == [("u10",)]
        assert fetch(database, "SELECT DISTINCT booking_uid FROM booking_attendees") == [("u10",)]
        assert fetch(database, "SELECT DISTINCT booking_uid FROM booking_hosts") == [("u10",)]
        later = mirror.store(page(*rows, at=NOW + timedelta(days=10)), listing=MINE)
        assert (later.too_old, later.changes) == (2, Changes(unchanged=1))

    def test_records_in_quarantine_that_were_last_seen_before_are_dropped_too(self, database: Database):
        mirror = PostgresBookingMirror(database)
        mirror.store(page({**row("old"), "start": 7}), listing=MINE)
        mirror.store(page({**row("new"), "start": 7}, at=NOW + timedelta(days=30)), listing=MINE)
        assert mirror.forget(before=NOW + timedelta(days=20)) == 1
        assert fetch(database, "SELECT uid FROM quarantine") == [("new",)]

    def test_one_that_goes_on_is_kept(self, database: Database):
        mirror = PostgresBookingMirror(database)
        mirror.store(page(row(start=NOW - timedelta(days=90), minutes=60 * 24 * 180)), listing=MINE)
        assert mirror.forget(before=NOW - timedelta(days=30)) == 0


class TestReplay:
    class Calcom:
        def __init__(self, **rows: Any) -> None:
            self.rows = rows

        def me(self) -> None:
            """The key still works."""

        def booking(self, uid: str) -> Any:
            if uid not in self.rows:
                raise NotFound("none")
            found = page(self.rows[uid])
            return (*found.bookings, *found.unreadable)[0]

    def test_a_record_that_can_be_read_now_becomes_a_booking(self, database: Database):
        mirror, quarantine = PostgresBookingMirror(database), PostgresQuarantine(database)
        mirror.store(page({**row("a"), "status": "paused"}, {**row("b"), "start": 7}), listing=MINE)

        def lenient(raw: bytes) -> Any:
            return replayed(raw.replace(b'"paused"', b'"pending"'))

        calcom = self.Calcom(b={**row("b"), "start": 7})
        report = replay(calcom, mirror, quarantine, lenient, now=lambda: NOW)  # type: ignore[arg-type]
        assert report == ReplayReport(looked_at=2, read=1, gone=0, still_unreadable=1)
        assert fetch(database, "SELECT uid, status FROM bookings") == [("a", "pending")]
        assert [r.uid for r in quarantine.open_records()] == ["b"]
        assert fetch(database, "SELECT count(*) FROM quarantine") == [(2,)]

    def test_one_whose_bytes_were_not_kept_is_asked_for(self, database: Database):
        people = People("drop", load_pseudonyms(database, None))
        mirror, quarantine = PostgresBookingMirror(database, people=people), PostgresQuarantine(database)
        bad = [{**row(uid), "start": 7} for uid in "abc"]
        mirror.store(page(*bad, row("fine")), listing=MINE)
        calcom = self.Calcom(a=row("a"), b=bad[1], fine=row("fine"))
        report = replay(calcom, mirror, quarantine, replayed, now=lambda: NOW + SECOND)  # type: ignore[arg-type]
        assert report == ReplayReport(looked_at=3, read=1, gone=1, still_unreadable=1)

    def test_a_replayed_record_never_replaces_what_was_read_since(self, database: Database):
        mirror, quarantine = PostgresBookingMirror(database), PostgresQuarantine(database)
        mirror.store(page(row("a", title="newer", updatedAt=stamp(NOW + SECOND)), at=NOW + SECOND), listing=MINE)
        mirror.store(page({**row("a"), "status": "paused"}), listing=MINE)
        raw = orjson.dumps(row("a", title="older"))
        replay(self.Calcom(), mirror, quarantine, lambda _: replayed(raw), now=lambda: NOW)  # type: ignore[arg-type]
        assert fetch(database, "SELECT title FROM bookings") == [("newer",)]

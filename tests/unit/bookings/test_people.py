"""How the people in a booking are kept, what erasing one leaves, what is private, what a change means for slots."""

import hmac
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import orjson
import pytest

from calcom_pipeline.domain.bookings.listing import Ours, Unreadable, payload_hash
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.people import People, Pseudonyms, addresses_in, busy_time, stands_in
from tests.support.booking_rows import NOW, attendee, host, page, row

KEY = Pseudonyms(b"k" * 32)
ODD_ADDRESSES = ["o'brien@example.com", "jane/x@y.com", "müller&co@x.de", "a=b?c@x.de", "{x}@y.com", "jane@x_y.com"]
ZOE, ZOE_ASCII = "zoë.müller@exämple.org", "zoë.müller@xn--exmple-cua.org"
ZOE_IN_TWO = unicodedata.normalize("NFD", ZOE)
NUMBER = "+4930123456"
CAROL, DAN = "carol@example.org", "dan@example.org"
# Everything that may tell who booked, each with a mark of its own.
TELLING = row(
    title="MARK1 for Carol",
    description="MARK2",
    location="tel:MARK3",
    meetingUrl="https://meet.example.com/?email=carol%40example.org",
    cancellationReason="MARK4",
    reschedulingReason="MARK5",
    cancelledByEmail=CAROL,
    rescheduledByEmail="Carol@example.org",
    metadata={"MARK6": "MARK7"},
    bookingFieldsResponses={"name": "MARK8", "email": CAROL, "phone": "MARK9"},
    guests=[DAN],
    attendees=[attendee("Carol", phoneNumber="MARK10", seatUid="seat-1"), attendee("Dan")],
    icsUid="MARK11",
    someNewField="MARK12",
)


def booking(**changes: Any) -> Booking:
    return page({**TELLING, **changes}).bookings[0]


def everything(kept: Booking) -> str:
    """All that is stored of a booking, as one text."""
    typed = [kept.title, kept.description, kept.location, kept.cancellation_reason]
    typed += [v for a in kept.attendees for v in (a.email, a.name, a.time_zone, a.language, a.phone_number, a.seat_uid)]
    return kept.raw.decode() + " ".join(str(v) for v in typed)


def test_keeping_people_changes_nothing():
    assert People("keep", KEY).kept(booking()) == booking()


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_nothing_that_tells_who_booked_is_left(policy: Any):
    kept = People(policy, KEY).kept(booking())
    text = everything(kept)
    assert "MARK" not in text
    assert "arol" not in text
    assert "@example.org" not in text
    assert kept.payload_hash == payload_hash(kept.raw) != booking().payload_hash


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_what_happened_and_whose_time_it_takes_is_left(policy: Any):
    kept, came = People(policy, KEY).kept(booking()), booking()
    same = (
        "uid",
        "id",
        "status",
        "start",
        "end",
        "created_at",
        "updated_at",
        "event_type_id",
        "event_type_slug",
        "hosts",
    )
    assert all(getattr(kept, name) == getattr(came, name) for name in same)
    assert len(kept.attendees) == 2


def test_the_same_person_has_the_same_hash_however_the_address_is_written():
    people = People("hash", KEY)
    one = people.kept(booking())
    other = people.kept(booking(uid="other", attendees=[attendee("Carol", email=" CAROL@Example.org ")]))
    assert one.attendees[0].email == other.attendees[0].email
    assert one.attendees[0].email != one.attendees[1].email
    assert (one.attendees[0].email or "").startswith("h:")
    assert People("hash", Pseudonyms(b"another key")).kept(booking()).attendees[0].email != one.attendees[0].email


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"email": ZOE}, {"email": ZOE_ASCII}),
        ({"email": ZOE}, {"email": ZOE.upper()}),
        ({"email": "x@x.example", "phoneNumber": NUMBER}, {"email": "x@x.example", "phoneNumber": "0049 30/123456"}),
    ],
)
def test_nor_does_the_spelling_of_a_domain_or_a_number_matter(one: dict[str, str], other: dict[str, str]):
    first, second = (People("hash", KEY).kept(booking(attendees=[attendee("Zoe", **way)])) for way in (one, other))
    assert first.attendees == second.attendees


def test_dropping_leaves_how_many_there_were_and_who_was_absent():
    kept = People("drop", KEY).kept(booking(attendees=[attendee("Carol", absent=True), attendee("Dan")]))
    assert [a.absent for a in kept.attendees] == [True, False]
    assert orjson.loads(kept.raw)["attendees"] == [{"absent": True}, {"absent": False}]
    assert orjson.loads(kept.raw)["guests"] == []


def test_users_among_the_attendees_stay_known_by_their_id():
    known = replace(booking(), attendees=tuple(replace(a, user_id=7) for a in booking().attendees))
    for policy in ("hash", "drop"):
        assert [a.user_id for a in People(policy, KEY).kept(known).attendees] == [7, 7]


class TestErasing:
    NOBODY: ClassVar = {"attendees": [attendee("Dan")], "bookingFieldsResponses": {}, "title": "", "description": ""}
    ERASED = People("keep", KEY, frozenset({KEY.subject(CAROL)}))

    def test_only_the_erased_person_goes_and_with_them_all_free_text(self):
        kept = self.ERASED.kept(booking())
        text = everything(kept)
        assert "arol" not in text
        assert "MARK" not in text
        assert [a.email for a in kept.attendees] == [None, DAN]
        assert orjson.loads(kept.raw)["attendees"][1] == attendee("Dan")
        assert orjson.loads(kept.raw)["guests"] == [DAN]

    def test_a_booking_without_them_is_left_alone(self):
        other = page(row(attendees=[attendee("Dan")], bookingFieldsResponses={}, description=None)).bookings[0]
        assert self.ERASED.kept(other) is other

    @pytest.mark.parametrize(
        "changes",
        [
            {"description": "ask Carol@Example.ORG, please"},
            {"metadata": {"deep": [{"er": "mailto:carol@example.org?subject=x"}]}},
            {"location": "https://x.example.com/?to=carol%40example.org&x=1"},
            {"guests": ["carol@example.org"]},
            {"someNewField": "<carol@example.org>"},
            {"description": "see\nCarol@example.org\nor not"},
            {"description": "**carol@example.org**"},
            {"description": "carol@example.org!"},
            {"description": "to=carol@example.org&cc=/carol@example.org/"},
            {"description": "请联系carol@example.org吧"},
        ],
    )
    def test_they_are_found_wherever_they_stand(self, changes: dict[str, Any]):
        nobody = {"attendees": [attendee("Dan")], "bookingFieldsResponses": {}, "title": "", "description": ""}
        kept = self.ERASED.kept(page({**row(), **nobody, **changes}).bookings[0])
        assert "carol" not in everything(kept).lower()

    @pytest.mark.parametrize("address", ODD_ADDRESSES)
    @pytest.mark.parametrize(
        "changes",
        [
            lambda a: {"attendees": [attendee("Dan"), attendee("Odd", email=a)]},
            lambda a: {"attendees": [attendee("Dan"), attendee("Dan") | {"displayEmail": a}]},
            lambda a: {"guests": [a]},
            lambda a: {"cancelledByEmail": a},
            lambda a: {"description": f"ask ({a}), or her"},
            lambda a: {"location": f"https://x.example/?to={quote(a)}"},
        ],
    )
    def test_an_address_with_odd_characters_is_found_too(self, address: str, changes: Callable[[str], Any]):
        nobody = {"attendees": [attendee("Dan")], "bookingFieldsResponses": {}, "title": "", "description": ""}
        came = page({**row(), **nobody, **changes(address)}).bookings[0]
        text = everything(People("keep", KEY, frozenset({KEY.subject(address)})).kept(came))
        assert address not in text
        assert quote(address) not in text

    @pytest.mark.parametrize("address", ["mary.carol@example.org", "mcarol@example.org", "carol@example.org.au"])
    def test_somebody_whose_address_only_contains_theirs_is_somebody_else(self, address: str):
        other = page(row(attendees=[attendee("Mary", email=address)], bookingFieldsResponses={"email": address}))
        assert self.ERASED.kept(other.bookings[0]) is other.bookings[0]
        assert not stands_in(other.bookings[0].raw, CAROL)

    def test_a_hash_tells_an_erased_person_as_the_address_does(self):
        once = People("hash", KEY).kept(booking())
        kept = People("hash", KEY, frozenset({KEY.subject(CAROL)})).kept(once)
        assert [a.email for a in kept.attendees] == [None, KEY.token(DAN)]
        assert KEY.token(CAROL) not in everything(kept)
        assert orjson.loads(kept.raw)["guests"] == [KEY.token(DAN)]

    def test_a_host_is_not_taken_out_of_the_hosts(self):
        hosted = page(row(hosts=[host(7, "carol") | {"email": CAROL, "displayEmail": CAROL}], attendees=[])).bookings[0]
        hosted = replace(
            hosted, raw=hosted.raw.replace(b'"bookingFieldsResponses":{"email":"carol@example.org"', b'"x":{"e":""')
        )
        assert self.ERASED.kept(hosted) is hosted

    def test_under_hashing_not_even_the_hash_is_left(self):
        kept = People("hash", KEY, frozenset({KEY.subject(CAROL)})).kept(booking())
        assert KEY.token(CAROL) not in everything(kept)
        assert kept.attendees[0].email is None

    def test_a_record_for_quarantine_keeps_only_its_reason(self):
        record = Unreadable(b'{"x": "carol@example.org"}', "x: bad")
        assert self.ERASED.kept_record(record).raw == b""
        assert self.ERASED.kept_record(Unreadable(b"{}", "x: bad")).raw == b"{}"
        assert People("hash", KEY).kept_record(Unreadable(b"{}", "x: bad")).raw == b""

    def test_erasing_twice_makes_no_other_booking(self):
        once = self.ERASED.kept(booking())
        again = self.ERASED.kept(page(orjson.loads(once.raw)).bookings[0])
        assert again.payload_hash == once.payload_hash


def old_subject(address: str) -> bytes:
    """What a tombstone held before addresses had one form."""
    return hmac.digest(KEY.key, address.strip().lower().encode(), "sha256")


class TestErasingHoweverItIsWritten:
    NOBODY = TestErasing.NOBODY

    @pytest.mark.parametrize(
        "tombstone",
        [KEY.subject(ZOE), KEY.subject(ZOE_ASCII), *map(old_subject, (ZOE, ZOE_ASCII, ZOE_IN_TWO))],
        ids=["new", "new ascii", "old", "old ascii", "old in two pieces"],
    )
    @pytest.mark.parametrize("spelled", [ZOE, ZOE_ASCII, ZOE.upper(), ZOE_IN_TWO], ids=ascii)
    @pytest.mark.parametrize(
        "changes",
        [
            lambda a: {"attendees": [attendee("Dan"), attendee("Zoe", email=a, displayEmail=a)]},
            lambda a: {"guests": [a]},
            lambda a: {"cancelledByEmail": a},
            lambda a: {"description": f"ask <{a}>, or her"},
            lambda a: {"location": f"https://x.example/?to={quote(a)}"},
        ],
        ids=["attendee", "guest", "by", "text", "link"],
    )
    def test_a_domain_in_either_spelling_is_the_same(
        self, tombstone: bytes, spelled: str, changes: Callable[[str], Any]
    ):
        came = page({**row(), **self.NOBODY, **changes(spelled)}).bookings[0]
        text = everything(People("keep", KEY, frozenset({tombstone})).kept(came))
        assert spelled not in text
        assert quote(spelled) not in text
        assert stands_in(came.raw, ZOE)

    @pytest.mark.parametrize(
        "changes",
        [
            {"attendees": [attendee("Dan"), attendee("Pia", email="4930123456@sms.cal.com", displayEmail=None)]},
            {"attendees": [attendee("Dan"), attendee("Pia", email="x@x.example", phoneNumber=NUMBER)]},
            {"bookingFieldsResponses": {"attendeePhoneNumber": NUMBER, "name": "Pia"}},
            {"location": NUMBER},
            {"description": "call her: +49 (0)30 123-456!"},
            {"someNewField": ["0049 30 123 456"]},
        ],
    )
    def test_somebody_known_by_number_goes_wherever_it_stands(self, changes: dict[str, Any]):
        came = page({**row(), **self.NOBODY, **changes}).bookings[0]
        erased = People("keep", KEY, frozenset({KEY.subject("+49 30 123456")}))
        kept = erased.kept(came)
        assert "123" not in "".join(c for c in everything(kept) if c.isdigit()).replace("20261201", "")
        assert "Pia" not in everything(kept)
        assert DAN in everything(kept)
        assert stands_in(came.raw, NUMBER)

    def test_another_number_stays(self):
        came = page({**row(), **self.NOBODY, "location": NUMBER + "7", "description": "30 123456"}).bookings[0]
        assert People("keep", KEY, frozenset({KEY.subject(NUMBER)})).kept(came) is came

    def test_a_host_is_left_a_host_in_either_spelling(self):
        hosts = [host() | {"email": ZOE_ASCII, "displayEmail": None}]
        came = page({**row(), **self.NOBODY, "hosts": hosts}).bookings[0]
        assert People("keep", KEY, frozenset({KEY.subject(ZOE)})).kept(came) is came


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("nobody", set()),
        ('{"a":"x@y.example"}', {"x@y.example"}),
        ('"Jo <Jo.Doe+tag@Y.example>, and b@c.example."', {"jo.doe+tag@y.example", "b@c.example"}),
        ("https://a.example/?m=x%40y.example&n=1", {"x@y.example"}),
        ("ünï@exämple.org", {"ünï@exämple.org"}),
        ("https://a.example/?m=X%2By%40Z.example", {"x%2by@z.example", "x+y@z.example"}),
    ],
)
def test_addresses_are_found_in_any_text(text: str, found: set[str]):
    assert addresses_in(text.encode()) >= found
    assert bool(addresses_in(text.encode())) == bool(found)


class TestPrivate:
    OURS = Ours(101, "alice@example.com", frozenset({7, 8}), frozenset({"managed"}))

    @pytest.mark.parametrize(
        ("changes", "private"),
        [
            ({"hosts": [host(102, "bob")], "eventType": {"id": 99, "slug": "yoga"}}, True),
            ({"hosts": [host(102, "bob")], "eventType": None, "eventTypeId": None}, True),
            ({"hosts": [host(102, "bob")]}, False),
            ({"hosts": [host(102, "bob")], "eventType": {"id": 99, "slug": "managed"}}, False),
            ({"eventType": {"id": 99, "slug": "yoga"}}, False),
            (
                {
                    "hosts": [host(102, "bob")],
                    "eventType": {"id": 99, "slug": "x"},
                    "attendees": [attendee("Alice", email="Alice@example.com")],
                },
                False,
            ),
            ({"hosts": [dict.fromkeys(("id", "name"), "unknown")], "eventType": {"id": 99, "slug": "x"}}, False),
        ],
    )
    def test_what_is_private_is_another_hosts_booking_of_no_type_of_ours_without_us(self, changes, private: bool):
        assert self.OURS.is_private(page({**row(), **changes}).bookings[0]) is private

    def test_only_the_time_and_whose_it_is_are_kept(self):
        busy = busy_time(booking(hosts=[host(102, "bob")]))
        text = everything(busy)
        assert "MARK" not in text
        assert "arol" not in text
        assert "bob@" not in text
        assert (busy.start, busy.end, busy.hosts[0].id) == (NOW, NOW + timedelta(minutes=30), 102)
        assert (busy.attendees, busy.event_type_slug, busy.event_type_id) == ((), None, 7)

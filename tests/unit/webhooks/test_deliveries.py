"""Deliveries: whose they are, of when, what they name. Recordings of a real Cal.com byte for byte."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.webhooks.deliveries import Delivery, Refused, is_signed, judge

CAPTURES = Path(__file__).parents[2] / "contract" / "captures"
HOOKS = sorted(CAPTURES.glob("hook-*.json"))
SECRET = json.loads((CAPTURES / "06-webhook-create.json").read_text())["response"]["body"]["data"]["secret"].encode()
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
START, END = datetime(2026, 11, 24, 8, tzinfo=UTC), datetime(2026, 11, 24, 9, tzinfo=UTC)


def signed(raw: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, raw, hashlib.sha256).hexdigest()


def body(trigger: str = "BOOKING_CREATED", *, at: datetime = NOW, **payload: Any) -> bytes:
    named = {"uid": "u1", "eventTypeId": 3, "startTime": "2026-11-24T08:00:00Z", "endTime": "2026-11-24T09:00:00+00:00"}
    envelope = {"triggerEvent": trigger, "createdAt": at.isoformat(), "payload": {**named, **payload}}
    return json.dumps(envelope).encode()


def judged(raw: bytes, *, now: datetime = NOW, secrets: tuple[bytes, ...] = (SECRET,)) -> Delivery | Refused:
    return judge(raw, signed(raw), secrets=secrets, now=now, window=WINDOW)


def taken(raw: bytes) -> Delivery:
    found = judged(raw)
    assert isinstance(found, Delivery)
    return found


def recording(path: Path) -> tuple[bytes, str, datetime]:
    captured = json.loads(path.read_text())
    at = datetime.fromtimestamp(captured["at"], UTC)
    return captured["request"]["raw"].encode(), captured["request"]["headers"]["X-Cal-Signature-256"], at


class TestRecordings:
    def test_there_are_all_of_them(self):
        assert len(HOOKS) == 17

    @pytest.mark.parametrize("path", HOOKS, ids=lambda p: p.stem)
    def test_each_is_taken_if_its_subscription_has_our_secret_and_refused_else(self, path: Path):
        raw, signature, at = recording(path)
        found = judge(raw, signature, secrets=[b"another one", SECRET], now=at, window=WINDOW)
        if json.loads(path.read_text())["request"]["path"] != "/hook":
            assert found == Refused("unsigned")
            return
        payload = json.loads(raw)["payload"]
        assert isinstance(found, Delivery)
        assert found.trigger in path.name
        assert (found.uid, found.digest, found.reason) == (payload["uid"], hashlib.sha256(raw).digest(), "")
        (fact,) = found.facts
        assert fact.event_type_id == payload["eventTypeId"]
        assert payload["organizer"]["id"] in fact.user_ids

    @pytest.mark.parametrize("path", HOOKS, ids=lambda p: p.stem)
    def test_with_one_byte_changed_none_is(self, path: Path):
        raw, signature, at = recording(path)
        changed = raw[:-2] + b" " + raw[-2:]
        assert isinstance(judge(changed, signature, secrets=[SECRET], now=at, window=WINDOW), Refused)


RAW = body()


class TestSignatures:
    @pytest.mark.parametrize(
        "signature",
        [
            None,
            "",
            "no-secret-provided",
            f"sha256={signed(RAW)}",
            signed(RAW).upper(),
            signed(RAW)[:-1],
            signed(RAW) + "0",
            f" {signed(RAW)}",
            signed(RAW, b"another"),
            signed(RAW, b""),
            "é" * 64,
        ],
    )
    def test_nothing_but_the_lower_case_hex_of_a_known_secret_counts(self, signature: str | None):
        assert not is_signed(RAW, signature, [SECRET, b""])
        assert isinstance(judge(RAW, signature, secrets=[SECRET, b""], now=NOW, window=WINDOW), Refused)

    @pytest.mark.parametrize("secret", [b"old", b"new"])
    def test_while_a_secret_is_rotated_both_count(self, secret: bytes):
        assert is_signed(RAW, signed(RAW, secret), [b"new", b"old"])

    def test_without_a_secret_nothing_counts(self):
        assert judged(RAW, secrets=()) == Refused("signature")


class TestReplays:
    @pytest.mark.parametrize(("minutes", "is_taken"), [(0, True), (14, True), (-14, True), (16, False), (-16, False)])
    def test_what_was_sent_long_ago_or_not_yet_is_refused(self, minutes: int, is_taken: bool):
        found = judged(RAW, now=NOW + timedelta(minutes=minutes))
        assert found == Refused("too_old") if not is_taken else isinstance(found, Delivery)

    def test_a_flat_body_carries_its_bookings_own_creation(self):
        raw = orjson.dumps({"triggerEvent": "MEETING_ENDED", "createdAt": "2025-01-01T00:00:00.000Z", "uid": "u1"})
        found = judged(raw)
        assert isinstance(found, Delivery)
        assert (found.trigger, found.uid, found.facts) == ("MEETING_ENDED", "u1", ())

    def test_a_flat_body_of_another_trigger_does_not(self):
        raw = orjson.dumps({"triggerEvent": "BOOKING_CREATED", "createdAt": "2025-01-01T00:00:00.000Z", "uid": "u1"})
        assert judged(raw) == Refused("too_old")

    def test_a_flat_body_of_a_trigger_that_nobody_knows_is_kept(self):
        raw = orjson.dumps({"triggerEvent": "MEETING_PAUSED", "createdAt": "2025-01-01T00:00:00.000Z", "uid": "u1"})
        found = judged(raw)
        assert isinstance(found, Delivery)
        assert (found.is_known, found.first_state) == (False, "open")


class TestWhatIsNamed:
    def test_a_moved_booking_names_both_uids_and_both_times(self):
        moved = body(
            "BOOKING_RESCHEDULED",
            rescheduleUid="u0",
            rescheduleStartTime="2026-11-25T08:00:00Z",
            rescheduleEndTime="2026-11-25T09:00:00Z",
            organizer={"id": 7},
        )
        found = taken(moved)
        assert (found.uid, found.old_uid) == ("u1", "u0")
        day = timedelta(days=1)
        spans = ((START, END), (START + day, END + day))
        assert found.facts == (ChangeEvent("booking", "webhook BOOKING_RESCHEDULED", 3, (7,), spans),)

    def test_users_are_taken_from_wherever_they_stand(self):
        raw = body(
            organizer={"id": 7},
            attendees=[{"email": "a@example.org"}, {"id": 9}, "odd", {"userId": 8}],
            team={"members": [{"id": 6}, None]},
        )
        assert taken(raw).facts[0].user_ids == (6, 7, 8, 9)

    def test_days_off_concern_the_times_of_who_is_away(self):
        away = {"start": "2026-12-01T00:00:00.000Z", "end": "2026-12-03T00:00:00.000Z", "user": {"id": 5}}
        raw = orjson.dumps({"triggerEvent": "OOO_CREATED", "createdAt": NOW.isoformat(), "payload": {"oooEntry": away}})
        (fact,) = taken(raw).facts
        assert (fact.user_ids, fact.event_type_id, len(fact.spans)) == ((5,), None, 1)

    def test_a_span_of_centuries_concerns_all_days_and_lists_none(self):
        (fact,) = taken(body(endTime="9999-11-24T09:00:00Z")).facts
        assert fact.spans == ()

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"", "the body is no JSON object"),
            (b"[]", "the body is no JSON object"),
            (b"name=Carol&when=now", "the body is no JSON object"),
            (b'{"triggerEvent":"\xff"}', "the body is no JSON object"),
            (b"[" * 100_000, "the body is no JSON object"),
            (b"{}", "the body names no trigger and no booking"),
            (b'{"triggerEvent":7,"payload":{"uid":"a b"}}', "the body names no trigger and no booking"),
        ],
    )
    def test_what_is_signed_and_cannot_be_read_is_kept_with_a_reason(self, raw: bytes, reason: str):
        found = taken(raw)
        assert (found.reason, found.body, found.uid) == (reason, raw, None)

    @pytest.mark.parametrize(
        "odd",
        [
            {"uid": "x" * 1000, "bookingUid": "u1"},
            {"eventTypeId": 2**70},
            {"eventTypeId": True},
            {"startTime": "0001-01-01T00:00:00+23:00"},
            {"startTime": 7},
            {"organizer": {"id": "7"}},
            {"organizer": [], "attendees": {}, "team": 3},
            {"startTime": "2026-11-24T08:00:00"},
        ],
    )
    def test_a_member_that_makes_no_sense_counts_as_none(self, odd: dict[str, Any]):
        assert taken(body(**odd)).uid == "u1"

    def test_nothing_of_a_body_is_shown(self):
        assert "carol" not in repr(taken(body(attendees=[{"email": "carol@example.org"}])))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["triggerEvent", "createdAt", "payload", "uid", "organizer", "attendees", "startTime"]
                    )
                    | st.text(max_size=5),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=20,
        )
    )
    def test_no_signed_body_breaks_the_reader(self, anything: Any):
        try:
            raw = orjson.dumps(anything)
        except (orjson.JSONEncodeError, TypeError):
            return
        assert isinstance(judged(raw), Delivery | Refused)

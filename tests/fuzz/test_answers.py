"""Whatever Cal.com answers: it is read, its rows are set aside, or it is a broken contract. Nothing else comes out.

The corpus are the recorded answers of the real server, and what broke a reader once (`CORPUS`).
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.bookings.rows import booking_page, one_booking
from calcom_pipeline.adapters.calcom.slots import slot_days
from calcom_pipeline.adapters.calcom.transport.messages import Answer
from calcom_pipeline.domain.availability.models import SlotQuery
from calcom_pipeline.domain.errors import ContractBroken, Exchange
from tests.fuzz.mutation import spoilt

CAPTURES = Path(__file__).parents[1] / "contract" / "captures"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
EXCHANGE = Exchange("Reading")
QUERY = SlotQuery(2, 30, "Europe/Berlin", date(2026, 11, 23), date(2026, 11, 27))
#: Answers that were misread once; each is tried with every reader, always.
CORPUS: tuple[bytes, ...] = (
    b"", b"null", b"[]", b'{"data":null}', b'{"data":[null]}', b'{"data":{"a":[{}]}}', b'{"data":[{"id":1e400}]}',
    b"[" * 20_000, b'{"data":' + b'{"a":' * 5_000, b'{"data":[{"id":"\xed\xa0\x80"}]}',
    b'{"data":[{"id":1}],"data":[]}',
)  # fmt: skip


def _data(read: Callable[[Any, Exchange], object]) -> Callable[[bytes], object]:
    return lambda raw: read(Answer(EXCHANGE, raw, NOW, NOW).data(), EXCHANGE)


READERS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "event types": (lambda raw: schemas.event_types(raw, EXCHANGE, None), "01c-*"),
    "event types of a team": (lambda raw: schemas.event_types(raw, EXCHANGE, None), "01j-*"),
    "event type": (_data(schemas.event_type), "01e-*"),
    "account": (_data(schemas.account), "01r-*"),
    "teams": (lambda raw: schemas.teams(raw, EXCHANGE), "01o-*"),
    "role": (_data(lambda data, exchange: schemas.role_of(1, data, exchange)), "01t-*"),
    "schedules": (lambda raw: schemas.schedules(raw, EXCHANGE), "01p-*"),
    "schedule": (_data(schemas.schedule), "01q-*"),
    "slots": (lambda raw: slot_days(raw, QUERY, NOW, EXCHANGE), "02-*"),
    "slots with seats": (lambda raw: slot_days(raw, QUERY, NOW, EXCHANGE), "02p-*"),
    "bookings": (lambda raw: booking_page(raw, EXCHANGE, answered_at=NOW, sent_at=NOW), "03l-*"),
    "bookings of all kinds": (lambda raw: booking_page(raw, EXCHANGE, answered_at=NOW, sent_at=NOW), "03r-*"),
    "booking": (lambda raw: one_booking(raw, "kTTpaCctVPKBm6hcYQ6JWA", EXCHANGE), "03w-*"),
}


def recorded(pattern: str) -> Any:
    """The body of a capture."""
    (path,) = CAPTURES.glob(pattern)
    return json.loads(path.read_text())["response"]["body"]


@pytest.mark.parametrize("name", READERS)
def test_a_recorded_answer_is_read(name: str):
    read, pattern = READERS[name]
    assert read(json.dumps(recorded(pattern)).encode()) is not None


@pytest.mark.parametrize("raw", CORPUS, ids=range(len(CORPUS)))
@pytest.mark.parametrize("name", READERS)
def test_what_was_misread_once_is_a_broken_contract_or_set_aside(name: str, raw: bytes):
    _either_way(READERS[name][0], raw)


@pytest.mark.parametrize("name", READERS)
def test_a_spoilt_answer_is_read_set_aside_or_a_broken_contract(name: str):
    read, pattern = READERS[name]

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(spoilt(recorded(pattern)))
    def look(raw: bytes) -> None:
        _either_way(read, raw)

    look()


def _either_way(read: Callable[[bytes], object], raw: bytes) -> None:
    try:
        found = read(raw)
    except ContractBroken:
        return
    assert found is not None

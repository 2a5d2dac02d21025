"""One table of fields: a field that is added to it is in all that is derived from it, and is named nowhere else."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import pytest
from psycopg.types.json import Jsonb

import calcom_pipeline
from calcom_pipeline.adapters.calcom.event_types.fields import BY_NAME
from calcom_pipeline.adapters.calcom.event_types.wire import NEWER_BUILDS, READ_ONLY, TEAM_ONLY, WRITABLE
from calcom_pipeline.adapters.postgres.event_types.rows import EventTypeRows, event_type_of, event_type_row
from calcom_pipeline.adapters.postgres.event_types.statements import upsert
from calcom_pipeline.domain.columns import Column, columns_of
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.fields import FIELD_NAMES, SharedFields
from calcom_pipeline.domain.services.models import Service, Shared
from calcom_pipeline.domain.services.problems import problems_of
from calcom_pipeline.domain.services.reconcile import decide

PACKAGE = Path(calcom_pipeline.__file__).parent


@dataclass(frozen=True, slots=True)
class ServiceWithSeats(Service):
    """A service with one more shared field, which its event type has already."""

    seats: Annotated[int | None, Column("integer", least=1, most=1000), Shared("seats_per_slot")] = None


@dataclass(frozen=True, slots=True)
class EventTypeWithPlaces(EventType):
    """An event type with one more column."""

    places: Annotated[tuple[str, ...], Column("text[]", "where it may take place")] = ()


E = TypeVar("E", bound=EventType)


def event_type(cls: type[E] = EventType) -> E:
    return cls(7, Owner("user", 1), "repair", "Repair", 30, seats_per_slot=4, host_ids=(1, 2), raw={"id": 7})


def test_a_field_added_to_a_service_is_compared_and_written_like_the_others():
    fields = SharedFields(ServiceWithSeats)
    assert fields.names == (*FIELD_NAMES, "seats_per_slot")
    service = ServiceWithSeats("1", "Repair", "repair", 30, seats=3)
    here, there = fields.local(service), fields.remote(event_type())
    assert (here["seats_per_slot"], there["seats_per_slot"]) == (3, 4)
    assert decide(local=3, remote=4, base=4, owner=None)[0] == "push"
    assert fields.columns({"seats_per_slot": 4, "hidden": True}) == {"seats": 4, "is_active": False}
    assert "seats_per_slot" not in fields.local(replace(service, seats=None))
    assert columns_of(ServiceWithSeats)["seats"].kind == "integer"


def test_a_column_added_to_an_event_type_is_stored_and_read_like_the_others():
    columns, rows = columns_of(EventTypeWithPlaces), EventTypeRows(EventTypeWithPlaces)
    assert list(columns) == [*columns_of(EventType), "places"]
    assert "places = excluded.places" in upsert(columns)
    with_places = replace(event_type(EventTypeWithPlaces), places=("here", "there"))
    row = dict(zip(columns, rows.row(with_places), strict=True))
    assert row["places"] == ["here", "there"]
    assert rows.value(tuple({**row, "raw": with_places.raw}.values())) == with_places


def test_an_event_type_comes_back_from_its_row_as_it_went():
    row = event_type_row(event_type())
    assert [isinstance(value, Jsonb) for value in row].count(True) == 1
    assert event_type_of(tuple(value.obj if isinstance(value, Jsonb) else value for value in row)) == event_type()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"before_buffer_minutes": -1}, "before_buffer_negative"),
        ({"after_buffer_minutes": -1}, "after_buffer_negative"),
        ({"minimum_notice_minutes": -1}, "notice_negative"),
        ({"price_minor": -1}, "price_negative"),
        ({"price_minor": 0}, None),
    ],
)
def test_a_number_beyond_its_columns_bounds_is_a_problem_with_a_code(changes: dict[str, int], code: str | None):
    found = problems_of(replace(Service("1", "Repair", "repair", 30), **changes))
    assert [reason.code for reason in found] == ([code] if code else [])


def test_bounds_of_a_column_hold_on_both_sides():
    column = columns_of(ServiceWithSeats)["seats"]
    assert [column.takes(number) for number in (0, 1, 1000, 1001)] == [False, True, True, False]


def naming(word: str) -> set[str]:
    """Modules of the package that name something; the sandbox is Cal.com and has names of its own."""
    files = (path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.relative_to(PACKAGE).parts)
    return {str(path.relative_to(PACKAGE)) for path in files if word in path.read_text()}


TABLE = {"domain/event_types/models.py", "adapters/calcom/event_types/fields.py"}
#: Lookups know the pace of starts from Redis alone: it says how long a day may be cached in which the notice ends.
LOOKUPS = {
    "app/availability/window.py",
    "domain/availability/models.py",
    "adapters/redis/availability/values.py",
}


@pytest.mark.parametrize(
    ("name", "deciding"),
    [
        ("requires_confirmation", set()),
        ("slot_interval_minutes", LOOKUPS),
        ("limit_periods", {"domain/availability/changes.py"}),  # how far a booking changes other days
    ],
)
def test_a_field_stands_in_two_modules_and_in_those_that_decide_by_it(name: str, deciding: set[str]):
    assert naming(name) == TABLE | deciding


def test_cal_coms_names_of_event_types_stand_in_its_adapter_alone():
    # A name in small letters is a word of English. Requests of bookings have two of these names, as members of theirs.
    names = {name for name in WRITABLE | TEAM_ONLY | READ_ONLY | NEWER_BUILDS if not name.islower()}
    names -= {"lengthInMinutes", "bookingFields"}
    assert "beforeEventBuffer" in names
    elsewhere = {n: found for n in names if (found := {m for m in naming(n) if not m.startswith("adapters/calcom/")})}
    assert not elsewhere


def test_every_field_that_services_share_is_one_that_cal_com_takes():
    assert {BY_NAME[name].access for name in FIELD_NAMES} == {"writable"}

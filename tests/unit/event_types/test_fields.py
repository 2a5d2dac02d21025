"""Which fields of an event type may be written, and how they travel."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline.adapters.calcom.event_types.fields import (
    BY_NAME,
    WIRE_FIELDS,
    create_body,
    ignored_fields,
    update_body,
)
from calcom_pipeline.adapters.calcom.event_types.wire import LEGACY_NAMES, NEWER_BUILDS, READ_ONLY, TEAM_ONLY, WRITABLE
from calcom_pipeline.domain.errors import InvalidInput
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.fields import FIELD_NAMES

ME, TEAM = Owner("user", 101), Owner("team", 301)
NEW = {"title": "Repair", "slug": "repair", "duration_minutes": 30}
# The OpenAPI data lies beside the checkout where the facts are kept; a copy without it cannot compare.
OPENAPI = Path(__file__).parents[4] / "shared" / "calcom-openapi-v2.json"


def event_type(**changes: Any) -> EventType:
    return EventType(**{"id": 7, "owner": ME, "slug": "repair", "title": "Repair", "duration_minutes": 30, **changes})


def problems(call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        call(*arguments)
    return refused.value.problems


def test_every_attribute_of_an_event_type_stands_in_the_table_once():
    assert sorted(BY_NAME) == sorted(field.name for field in dataclasses.fields(EventType))
    assert len(WIRE_FIELDS) == len(BY_NAME)


@pytest.mark.skipif(not OPENAPI.exists(), reason="the OpenAPI data is not shipped with the project")
def test_the_extracted_lists_are_those_of_the_openapi_data():
    schemas = json.loads(OPENAPI.read_text())["components"]["schemas"]

    def names(schema: str) -> set[str]:
        return set(schemas[f"{schema}_2024_06_14"]["properties"])

    for verb in ("Create", "Update"):
        assert names(f"{verb}EventTypeInput") == WRITABLE
        assert names(f"{verb}TeamEventTypeInput") == WRITABLE | TEAM_ONLY
    shown = names("EventTypeOutput") | names("TeamEventTypeOutput")
    assert shown == WRITABLE | TEAM_ONLY | READ_ONLY | NEWER_BUILDS


def test_what_we_call_writable_is_what_cal_com_takes():
    allowed = {"writable": WRITABLE, "team": TEAM_ONLY, "create": TEAM_ONLY, "read_only": READ_ONLY | {"recurrence"}}
    for field in (f for f in WIRE_FIELDS if f.wire):
        assert field.wire in allowed[field.access], field.name
    assert not (WRITABLE | TEAM_ONLY) & (READ_ONLY | NEWER_BUILDS)
    assert set(LEGACY_NAMES.values()) <= WRITABLE


def test_every_field_that_services_have_can_be_written():
    for name in FIELD_NAMES:
        assert BY_NAME[name].access == "writable", name


def test_fields_travel_under_cal_coms_names():
    fields = {
        **NEW,
        "duration_options": (15, 30),
        "hidden": True,
        "slot_interval_minutes": 10,
        "minimum_notice_minutes": 0,
        "seats_per_slot": 3,
        "requires_confirmation": False,
        "scheduling_type": "roundRobin",
        "host_ids": (102, 101),
    }
    assert create_body(TEAM, fields) == {
        "title": "Repair",
        "slug": "repair",
        "lengthInMinutes": 30,
        "lengthInMinutesOptions": [15, 30],
        "hidden": True,
        "slotInterval": 10,
        "minimumBookingNotice": 0,
        "seats": {"seatsPerTimeSlot": 3, "showAttendeeInfo": False, "showAvailabilityCount": True},
        "confirmationPolicy": {"disabled": True},
        "schedulingType": "roundRobin",
        "hosts": [{"userId": 102}, {"userId": 101}],
    }
    assert update_body(event_type(), {"seats_per_slot": None, "requires_confirmation": True}) == {
        "seats": {"disabled": True},
        "confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": False},
    }


@pytest.mark.parametrize(
    ("owner", "fields", "said"),
    [
        (ME, {}, "title: is missing"),
        (TEAM, NEW, "scheduling_type: is missing"),
        (ME, {**NEW, "title": " \t"}, "title: is empty"),
        (ME, {**NEW, "title": "t" * 256}, "title: is longer than 255"),
        (ME, {**NEW, "title": "a\x00b"}, "title: holds a character"),
        (ME, {**NEW, "title": "\ud800"}, "title: holds a character"),
        (ME, {**NEW, "slug": "-repair"}, "slug: is no clean slug"),
        (ME, {**NEW, "slug": "bike repair"}, "slug: is no clean slug"),
        (ME, {**NEW, "slug": "bike/repair"}, "slug: is no clean slug"),
        (ME, {**NEW, "description": None}, "description: is no text"),
        (ME, {**NEW, "duration_minutes": 0}, "duration_minutes: is below 1"),
        (ME, {**NEW, "duration_minutes": True}, "duration_minutes: is no whole number"),
        (ME, {**NEW, "duration_options": (15, 45)}, "duration_options: must hold duration_minutes"),
        (ME, {**NEW, "duration_options": (30, 30)}, "duration_options: names a length twice"),
        (ME, {**NEW, "hidden": "yes"}, "hidden: is neither true nor false"),
        (ME, {**NEW, "before_buffer_minutes": -1}, "before_buffer_minutes: is below 0"),
        (ME, {**NEW, "slot_interval_minutes": None}, "slot_interval_minutes: is no whole number"),
        (ME, {**NEW, "seats_per_slot": 1001}, "seats_per_slot: is above 1000"),
        (ME, {**NEW, "price_minor": 500}, "price_minor: cannot be written: Cal.com ignores it"),
        (ME, {**NEW, "id": 3}, "id: cannot be written"),
        (ME, {**NEW, "schedule_zone": "UTC"}, "schedule_zone: cannot be written"),
        (ME, {**NEW, "host_ids": (1,)}, "host_ids: only team event types have it"),
        (ME, {**NEW, "lenght": 3}, "lenght: is no field of an event type"),
        (ME, {**NEW, "lengthInMinutes": 3}, "lengthInMinutes: is called duration_minutes here"),
        (ME, {**NEW, "length": 3}, "length: is called duration_minutes here"),
        (ME, {**NEW, "bookingWindow": {}}, "bookingWindow: is not kept in sync; set it in Cal.com"),
        (ME, {**NEW, "metadata": {}}, "metadata: cannot be written: Cal.com ignores it"),
        (TEAM, {**NEW, "scheduling_type": "managed"}, "scheduling_type: is neither collective nor roundRobin"),
        (TEAM, {**NEW, "scheduling_type": "collective", "host_ids": ()}, "host_ids: is no list of user ids"),
    ],
)
def test_what_cal_com_would_refuse_or_drop_is_refused_before_it_is_sent(owner: Owner, fields: dict, said: str):
    found = problems(create_body, owner, fields)
    assert any(problem.startswith(said) for problem in found), found


def test_all_problems_of_an_update_are_said_at_once():
    found = problems(update_body, event_type(), {"title": "", "duration_minutes": "30", "currency": "eur"})
    assert [problem.split(":")[0] for problem in found] == ["title", "duration_minutes", "currency"]


def test_an_update_of_nothing_and_of_a_managed_parent_are_refused():
    assert problems(update_body, event_type(), {}) == ["nothing is to be changed"]
    parent = event_type(owner=TEAM, scheduling_type="managed")
    assert "managed parent" in problems(update_body, parent, {"title": "New"})[0]
    assert problems(update_body, event_type(owner=TEAM), {"scheduling_type": "collective"}) == [
        "scheduling_type: is chosen when an event type is created"
    ]


def test_a_field_that_the_answer_does_not_show_was_ignored():
    answer = event_type(title="Repair", hidden=False, host_ids=(101, 102), duration_options=(15, 30))
    sent = {"title": "Repair", "hidden": True, "host_ids": [102, 101], "duration_options": [30, 15]}
    assert ignored_fields(answer, sent) == ("hidden",)

"""Rows of the table `event_types` to and from values."""

from typing import Any

import orjson
from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.statements import EVENT_TYPE_COLUMNS
from calcom_pipeline.domain.event_types.models import EventType, Owner


def event_type_row(e: EventType) -> tuple[Any, ...]:
    """A value as a row of `EVENT_TYPE_COLUMNS`."""
    return (
        e.id,
        str(e.owner),
        e.slug,
        e.title,
        e.description,
        e.duration_minutes,
        list(e.duration_options),
        e.hidden,
        e.schedule_id,
        e.schedule_zone,
        e.scheduling_type,
        e.parent_id,
        e.slot_interval_minutes,
        e.minimum_notice_minutes,
        e.before_buffer_minutes,
        e.after_buffer_minutes,
        e.seats_per_slot,
        e.requires_confirmation,
        e.recurring,
        e.price_minor,
        e.currency,
        list(e.host_ids),
        e.assign_all_team_members,
        list(e.limit_periods),
        e.content_hash,
        Jsonb(e.raw, dumps=orjson.dumps),
    )


def event_type_of(row: tuple[Any, ...]) -> EventType:
    """A row of `EVENT_TYPE_COLUMNS` as a value."""
    names = [name.strip() for name in EVENT_TYPE_COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    values["owner"] = Owner.parse(values["owner"])
    values |= {name: tuple(values[name]) for name in ("duration_options", "host_ids", "limit_periods")}
    return EventType(**values)

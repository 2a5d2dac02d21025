"""The columns of the tables that are assets, as the UI shows them; a test holds them against the real tables."""

import dagster as dg

from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.event_types.models import EventType

_EVENT_TYPES = {
    **{name: (column.kind, column.about) for name, column in columns_of(EventType).items()},
    "first_seen_at": ("timestamp with time zone", "when the mirror first had it"),
    "changed_at": ("timestamp with time zone", "when the mirror last changed"),
    "deleted_at": ("timestamp with time zone", "when it was proven gone, or missing for long enough"),
    "missing_since": ("timestamp with time zone", "first of the looks in a row that did not show it"),
    "missing_looks": ("integer", "how many those are"),
    "missing_why": ("text", "why it is not taken for gone yet"),
}

_BOOKINGS = {
    "uid": ("text", "Cal.com's public key; a reschedule makes a new one"),
    "id": ("bigint", "Cal.com's id"),
    "status": ("text", "accepted, pending, cancelled, rejected or awaiting_host"),
    "title": ("text", "holds names of people"),
    "description": ("text", "what the attendee wrote"),
    "starts_at": ("timestamp with time zone", "start"),
    "ends_at": ("timestamp with time zone", "end"),
    "event_type_id": ("bigint", "null once the event type is gone"),
    "event_type_slug": ("text", "null once the event type is gone"),
    "location": ("text", "place or link"),
    "cancellation_reason": ("text", "empty when none"),
    "rescheduled_from_uid": ("text", "the booking this one replaced"),
    "rescheduled_to_uid": ("text", "the booking that replaced this one"),
    "recurring_uid": ("text", "the series"),
    "absent_host": ("boolean", "the host did not come"),
    "created_at": ("timestamp with time zone", "never changes"),
    "updated_at": ("timestamp with time zone", "null on old rows; seats and absences do not move it"),
    "raw": ("jsonb", "as Cal.com answered"),
    "payload_hash": ("bytea", "tells a change"),
    "read_started_at": ("timestamp with time zone", "start of the request that brought this version"),
    "deleted_at": ("timestamp with time zone", "when it was proven gone"),
    "out_of_scope_at": ("timestamp with time zone", "when the key stopped seeing it"),
    "listings": ("text[]", "which listings show it: mine, team:<id>, organization:<id>; empty until it is proven gone"),
    "is_private": ("boolean", "a team member's own: only its time is kept"),
}

_SLOTS = {
    "event_type_id": ("bigint", "event type"),
    "duration_minutes": ("integer", "length asked for"),
    "zone": ("text", "IANA zone asked for"),
    "day": ("date", "local day in that zone"),
    "starts": ("timestamp with time zone[]", "starts that Cal.com lists"),
    "seats": ("jsonb", "[[remaining, total], ...] beside the starts, where there are seats"),
    "fetched_at": ("timestamp with time zone", "when Cal.com was asked"),
}

TABLES = {"event_types": _EVENT_TYPES, "bookings": _BOOKINGS, "slots": _SLOTS}


def column_schema(table: str) -> dict[str, dg.TableSchema]:
    """The metadata entry that makes the UI show a table's columns."""
    columns = [dg.TableColumn(name, kind, description=about) for name, (kind, about) in TABLES[table].items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}

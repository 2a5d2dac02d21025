"""The columns of the tables that are assets, as the UI shows them; a test holds them against the real tables."""

import dagster as dg

_EVENT_TYPES = {
    "id": ("bigint", "Cal.com's id"),
    "owner": ("text", "user:<id> or team:<id>; slugs are unique within it"),
    "slug": ("text", "last part of the booking page's address"),
    "title": ("text", "name shown to people who book"),
    "description": ("text", "empty when unset"),
    "duration_minutes": ("integer", "default length"),
    "duration_options": ("integer[]", "lengths to choose from; empty when there is one"),
    "hidden": ("boolean", "not listed publicly, still bookable by id"),
    "schedule_id": ("bigint", "null: the owner's default schedule"),
    "schedule_zone": ("text", "IANA zone its slots are asked for in"),
    "scheduling_type": ("text", "roundRobin, collective, managed, or null for personal ones"),
    "parent_id": ("bigint", "managed parent, for children"),
    "slot_interval_minutes": ("integer", "null: the length"),
    "minimum_notice_minutes": ("integer", "shortest time between booking and start"),
    "before_buffer_minutes": ("integer", "kept free before"),
    "after_buffer_minutes": ("integer", "kept free after"),
    "seats_per_slot": ("integer", "null: one booking a slot"),
    "requires_confirmation": ("boolean", "bookings start as pending"),
    "recurring": ("boolean", "one booking makes a series"),
    "price_minor": ("bigint", "minor units; read-only at Cal.com"),
    "currency": ("text", "lower-case ISO code; read-only at Cal.com"),
    "host_ids": ("bigint[]", "users who take the bookings"),
    "assign_all_team_members": ("boolean", "every member is a host"),
    "limit_periods": ("text[]", "of day, week, month, year: periods that a full limit closes"),
    "raw": ("jsonb", "as Cal.com answered"),
    "content_hash": ("text", "tells a change; event types carry no timestamps"),
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
    columns = [dg.TableColumn(name, kind, description=said) for name, (kind, said) in TABLES[table].items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}

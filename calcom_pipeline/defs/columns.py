"""The columns of the tables that are assets, as the UI shows them; a test holds them against the real tables."""

from collections.abc import Callable, Mapping

import dagster as dg

from calcom_pipeline.domain.columns import annotated, columns_of
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.models import Service, Shared

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
    "listings": ("text[]", "which listings show it: mine, team:ID, organization:ID; empty until it is proven gone"),
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


def _shared(column: str) -> str:
    """What a column of the services is for."""
    fields = dict(annotated(Service, Shared))
    shared = fields.get(column)
    if shared is None:
        return {"team_id": "Cal.com's team; null: the key's own user"}.get(column, "kept here only")
    return f"is kept equal to {'the opposite of ' if shared.inverted else ''}the event type's {shared.field}"


_AT = "timestamp with time zone"
_REASON = {
    "reason": ("text", "why, as a sentence"),
    "reason_code": ("text", "names the reason, for programs"),
    "reason_params": ("jsonb", "what the reason speaks of"),
}

_SERVICES = {
    "service_id": ("text", "key of the row in your own table"),
    **{name: (column.kind, column.about or _shared(name)) for name, column in columns_of(Service).items()},
    "version": ("text", "changes whenever a column changes that is read here"),
    "unreadable": ("text[]", "values that are none of their column's type, each with what is wrong"),
}
_ACTIONS = {
    "plan_id": ("text", "plan; its time is in its name"),
    "position": ("integer", "order within the plan"),
    "kind": ("text", "create, adopt, push, pull, hide, show, park, import, conflict, refuse or wait"),
    "service_id": ("text", "service"),
    "event_type_id": ("bigint", "event type, once there is one"),
    "owner": ("text", "whose event type it is: user:ID or team:ID"),
    **_REASON,
    "fields": ("jsonb", "per field: what is here, at Cal.com and was agreed on, and what is to happen"),
    "remote": ("jsonb", "the event type's values when this was decided"),
    "service_version": ("text", "the service's version when this was decided"),
    "notes": ("jsonb", "what a reviewer should know"),
    "outcome": ("text", "done, failed, held or left; null: not tried"),
    "message": ("text", "what came of it"),
    "before": ("jsonb", "values by side before the write: what a revert brings back"),
    "after": ("jsonb", "values by side after the write"),
    "error": ("text", "kind of the failure"),
    "finished_at": (_AT, "when it was tried"),
    "result_code": ("text", "names why it failed or was left, for programs"),
}
_LINKS = {
    "service_id": ("text", "service"),
    "owner": ("text", "whose event type it is: user:ID or team:ID"),
    "event_type_id": ("bigint", "its event type; null before it was made"),
    "base": ("jsonb", "the values that both sides last agreed on"),
    "intent": ("jsonb", "what was about to be written, stored before it was sent"),
    "state": ("text", "linked, creating, parked or retired"),
    "attempts": ("integer", "failures in a row"),
    "next_attempt_at": (_AT, "when it is tried again"),
    **_REASON,
    "failed_version": ("text", "version of the service at the last failure: an edit since is tried at once"),
    "changed_at": (_AT, "when this row was written"),
}
_SCOPES = {
    "scope": ("text", "user, event-type:ID or team:ID/event-type:ID"),
    "state": ("text", "right, wrong or failed"),
    **_REASON,
    "webhook_id": ("text", "our subscription at Cal.com"),
    "since": (_AT, "deliveries can be expected from then on"),
    "checked_at": (_AT, "last look"),
}

TABLES = {
    "event_types": _EVENT_TYPES,
    "bookings": _BOOKINGS,
    "slots": _SLOTS,
    "services_source": _SERVICES,
    "sync_actions": _ACTIONS,
    "service_links": _LINKS,
    "webhook_scopes": _SCOPES,
}

# What is no table: Cal.com's by the name of the resource, Redis's by its key behind `calcom:v1:{ACCOUNT}:`.
_CAL_COM = {
    "event_types": (
        "resource",
        "what can be booked, of the key's user and each team: GET /v2/event-types, /v2/teams/ID/...",
    ),
    "schedules": ("resource", "when hosts work, and in which zone: GET /v2/schedules"),
    "bookings": ("resource", "what was booked, of every listing that the key sees: GET /v2/bookings"),
    "slots": ("resource", "free starts of an event type and a length, day by day: GET /v2/slots"),
    "reservations": ("resource", "starts that are held for minutes: POST /v2/slots/reservations"),
    "webhooks": ("resource", "our subscriptions, a scope each: GET /v2/webhooks, /v2/event-types/ID/webhooks"),
    "teams": ("resource", "teams and their members: GET /v2/teams"),
    "me": ("resource", "whose the key is: GET /v2/me"),
}
_REDIS = {
    "slots:type:ID": ("string", "an event type: zone, lengths, notice"),
    "slots:day:ID:MINUTES:ZONE:YYYY-MM-DD": (
        "string",
        "one local day of one length: its free starts, and until when it is fresh",
    ),
    "slots:generation:ID": ("number", "raised by every clearing: a fetch that began before it is not stored"),
    "slots:held:ID": ("sorted set", "days with a start that is held"),
    "slots:index:ID": ("set", "the keys of an event type's days, for clearing"),
    "slots:near:ID": ("hash", "alternatives, by question"),
    "slots:asked:DAY": ("sorted set", "what was asked for how often: what is warmed first"),
    "slots:shadow:DAY": ("hash", "what shadow reads came to: answers, days, starts, wrong starts"),
    "flight:lock:...": ("string", "somebody fetches that just now; the others wait for it"),
    "http:requests:CALLER": ("hash", "what a token of the HTTP API has left"),
}
_SHAPES = {**TABLES, "cal_com": _CAL_COM, "redis": _REDIS}


def column_schema(table: str) -> dict[str, dg.TableSchema]:
    """The metadata entry that makes the UI show a table's columns, or what else it is made of."""
    columns = [dg.TableColumn(name, kind, description=about) for name, (kind, about) in _SHAPES[table].items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def column_lineage(
    key: Callable[[str], dg.AssetKey], sources: Mapping[str, tuple[str, str]]
) -> dict[str, dg.TableColumnLineage]:
    """The metadata entry that says which column of another asset a column is made of: `{column: (asset, column)}`."""
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {column: [dg.TableColumnDep(key(asset), of)] for column, (asset, of) in sources.items()}
        )
    }


def shared_lineage() -> dict[str, tuple[str, str]]:
    """Columns of event types that follow a column of the services."""
    return {one.field: ("services_table", column) for column, one in annotated(Service, Shared)}

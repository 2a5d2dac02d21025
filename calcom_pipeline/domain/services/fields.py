"""The fields that both sides have: how each is called there and here, how it is compared, who owns it.

A field's owner decides when both sides have moved apart. Without an owner the field is parked as a conflict.
`price` and `currency` are not here: Cal.com drops them silently (capture 27a), so they are local notes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.models import Service, clean_slug, clean_text

Value = str | int | bool | None
Side = Literal["local", "remote"]


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is the attribute of `EventType`, `column` that of `Service` and of `services_source`."""

    name: str
    column: str


FIELDS: tuple[Field, ...] = (
    Field("title", "name"),
    Field("slug", "slug"),
    Field("description", "description"),
    Field("duration_minutes", "duration_minutes"),
    Field("before_buffer_minutes", "before_buffer_minutes"),
    Field("after_buffer_minutes", "after_buffer_minutes"),
    Field("minimum_notice_minutes", "minimum_notice_minutes"),
    Field("hidden", "is_active"),
)
FIELD_NAMES = tuple(field.name for field in FIELDS)
_COLUMNS: Mapping[str, str] = {field.name: field.column for field in FIELDS}

Values = dict[str, Value]


def local_values(service: Service) -> Values:
    """What a service wants, by field; fields it does not manage are left out. Written out: it runs per service."""
    values: Values = {
        "title": clean_text(service.name),
        "slug": clean_slug(service.slug),
        "duration_minutes": service.duration_minutes,
        "hidden": not service.is_active,
    }
    if service.description is not None:
        values["description"] = clean_text(service.description)
    if service.before_buffer_minutes is not None:
        values["before_buffer_minutes"] = service.before_buffer_minutes
    if service.after_buffer_minutes is not None:
        values["after_buffer_minutes"] = service.after_buffer_minutes
    if service.minimum_notice_minutes is not None:
        values["minimum_notice_minutes"] = service.minimum_notice_minutes
    return values


def remote_values(event_type: EventType) -> Values:
    """What Cal.com has, by field."""
    return {
        "title": clean_text(event_type.title),
        "slug": clean_slug(event_type.slug),
        "description": clean_text(event_type.description),
        "duration_minutes": event_type.duration_minutes,
        "before_buffer_minutes": event_type.before_buffer_minutes,
        "after_buffer_minutes": event_type.after_buffer_minutes,
        "minimum_notice_minutes": event_type.minimum_notice_minutes,
        "hidden": event_type.hidden,
    }


def service_columns(changes: Mapping[str, Value]) -> dict[str, Any]:
    """Changes by field as columns of `services_source`."""
    return {_COLUMNS[name]: not value if name == "hidden" else value for name, value in changes.items()}

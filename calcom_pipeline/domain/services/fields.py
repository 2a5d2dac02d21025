"""The fields that services and event types share, as values that can be compared: derived from `Service`.

A field's owner decides when both sides have moved apart. Without an owner the field is parked as a conflict.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from operator import attrgetter, not_
from typing import Any, Literal

from calcom_pipeline.domain.columns import annotated
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.models import Service, Shared

Value = str | int | bool | None
Side = Literal["local", "remote"]
Values = dict[str, Value]


class SharedFields:
    """Both sides' values of the shared fields. Planning asks per service, so all attributes are read at once."""

    def __init__(self, service: type[Service]) -> None:
        shared = dict(annotated(service, Shared))
        self.names = tuple(one.field for one in shared.values())
        self._columns = {one.field: column for column, one in shared.items()}
        self._inverted = frozenset(one.field for one in shared.values() if one.inverted)
        self._of_service: Callable[[Service], tuple[Any, ...]] = attrgetter(*shared)
        self._of_event_type: Callable[[EventType], tuple[Any, ...]] = attrgetter(*self.names)
        # A column without a default is stated by every service; None in another one is no opinion.
        stated = {f.name: f.default is MISSING for f in fields(service)}
        self._here = [(one.field, not_ if one.inverted else one.compared, stated[c]) for c, one in shared.items()]
        self._there = [(one.field, one.compared) for one in shared.values()]

    def local(self, service: Service) -> Values:
        """What a service wants, by field; fields it does not manage are left out."""
        return {
            name: change(value) if change is not None else value
            for (name, change, stated), value in zip(self._here, self._of_service(service), strict=True)
            if value is not None or stated
        }

    def remote(self, event_type: EventType) -> Values:
        """What Cal.com has, by field."""
        return {
            name: change(value) if change is not None else value
            for (name, change), value in zip(self._there, self._of_event_type(event_type), strict=True)
        }

    def columns(self, changes: Mapping[str, Value]) -> dict[str, Any]:
        """Changes by field as columns of `services_source`."""
        return {self._columns[name]: not value if name in self._inverted else value for name, value in changes.items()}


_SHARED = SharedFields(Service)
FIELD_NAMES = _SHARED.names
local_values = _SHARED.local
remote_values = _SHARED.remote
service_columns = _SHARED.columns

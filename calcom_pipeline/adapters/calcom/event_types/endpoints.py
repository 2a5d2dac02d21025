"""Event types: personal ones under `/event-types`, a team's under `/teams/{id}/event-types`. Fact sheet section 4."""

from collections.abc import Mapping
from typing import Any, cast

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.endpoint import EndpointGroup
from calcom_pipeline.adapters.calcom.event_types.fields import BY_NAME, create_body, ignored_fields, update_body
from calcom_pipeline.adapters.calcom.idempotent_create import ExactlyOnce, Made
from calcom_pipeline.adapters.calcom.me import AccountEndpoints
from calcom_pipeline.adapters.calcom.schemas import ScheduleZones
from calcom_pipeline.adapters.calcom.transport.messages import Answer
from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.domain.errors import Conflict, NotFound
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.models import Team

EVENT_TYPES = EndpointGroup("event_types", "2024-06-14")
TEAM_EVENT_TYPES = EndpointGroup("team_event_types", "2024-06-14")
# Cal.com's create is two writes; these are in the first one, so ours has them whatever became of the second.
_INSERTED = ("title", "duration_minutes")


class EventTypeEndpoints(AccountEndpoints):
    """Reads and writes of event types."""

    groups = (EVENT_TYPES, TEAM_EVENT_TYPES)

    # --- reads -------------------------------------------------------------------------------------------

    def list_personal(self) -> Listed[EventType]:
        """All personal event types of the key's user, hidden ones included, with the zones of their schedules."""
        answer = self._get("Listing event types", "/event-types", group=EVENT_TYPES)
        me = self._own_account()
        zones = ScheduleZones(
            self._known_schedules(), me.time_zone, default_id=me.default_schedule_id, look=self._known_schedule
        )
        return schemas.event_types(answer.content, answer.exchange, zones)

    def list_team(self, team: Team) -> Listed[EventType]:
        """All event types of a team, with their zones; this endpoint answers to any version (fact sheet 1.3)."""
        answer = self._get("Listing team event types", _collection(Owner("team", team.id)), group=TEAM_EVENT_TYPES)
        zones = ScheduleZones.of_team(self._known_schedules(), team)
        return schemas.event_types(answer.content, answer.exchange, zones)

    def list_owner(self, owner: Owner) -> Listed[EventType]:
        """One listing, one call, for comparing: `schedule_zone` is not looked up and stays UTC."""
        answer = self._get("Listing event types", _collection(owner), group=_group(owner))
        return schemas.event_types(answer.content, answer.exchange, None)

    def get_event_type(self, event_type_id: int, *, owner: Owner | None = None) -> EventType:
        """One event type; `schedule_zone` stays UTC. A team's own route shows types that the personal one may not."""
        answer = self._get(
            "Reading an event type",
            f"{_collection(owner)}/{event_type_id}",
            group=_group(owner),
        )
        return _one(answer)

    # --- writes ------------------------------------------------------------------------------------------

    def create_event_type(self, owner: Owner, fields: Mapping[str, object], *, above_id: int = 0) -> Written:
        """Create one event type, exactly once; see the port."""
        body = create_body(owner, fields)
        above = above_id or max((e.id for e in self.list_owner(owner)), default=0)

        def create() -> EventType:
            return _one(self._post(owner, body))

        def look() -> EventType | None:
            found = next((e for e in self.list_owner(owner) if e.slug == fields["slug"] and e.id > above), None)
            if found is not None and any(getattr(found, name) != fields[name] for name in _INSERTED):
                raise Conflict(f"Creating an event type: somebody else's has its slug, as event type {found.id}")
            return found

        once = ExactlyOnce(
            create,
            look,
            key=f"{owner}/{fields['slug']}",
            rules=self._context.options.grace,
            sleep=self._context.sleep,
            clock=self._context.clock,
        )
        try:
            made = once.run()
        except Conflict:
            # An attempt of an earlier process, whose intent names `above_id`, may have made it.
            found = look() if above_id else None
            if found is None:
                raise
            made = Made(found, adopted=True)
        if made.adopted:
            return self._made_equal(made.value, fields)
        return Written(made.value, ignored_fields(made.value, fields))

    def update_event_type(self, event_type: EventType, changes: Mapping[str, object]) -> Written:
        """State new values for some fields; the answer shows which of them Cal.com took."""
        body = update_body(event_type, changes)
        owner = event_type.owner
        answer = self._send(
            "Changing an event type",
            "PATCH",
            f"{_collection(owner)}/{event_type.id}",
            group=_group(owner),
            kind="absolute",
            body=body,
        )
        changed = _one(answer)
        return Written(changed, ignored_fields(changed, changes))

    def delete_event_type(self, event_type: EventType) -> None:
        """Delete it; one that is already gone is no error."""
        owner = event_type.owner
        try:
            self._send(
                "Deleting an event type",
                "DELETE",
                f"{_collection(owner)}/{event_type.id}",
                group=_group(owner),
                kind="absolute",
            )
        except NotFound:
            return

    def _post(self, owner: Owner, body: Mapping[str, Any]) -> Answer:
        return self._send(
            "Creating an event type",
            "POST",
            _collection(owner),
            group=_group(owner),
            kind="create",
            body=body,
            slow=True,
        )

    def _made_equal(self, found: EventType, fields: Mapping[str, object]) -> Written:
        """A create is two writes at Cal.com (fact sheet 4.1); the second may not have happened."""
        missing = {name: fields[name] for name in ignored_fields(found, fields) if BY_NAME[name].access != "create"}
        if missing:
            found = self.update_event_type(found, missing).event_type
        return Written(found, ignored_fields(found, fields), adopted=True)


def _collection(owner: Owner | None) -> str:
    return f"/teams/{owner.id}/event-types" if owner is not None and owner.kind == "team" else "/event-types"


def _group(owner: Owner | None) -> EndpointGroup:
    return TEAM_EVENT_TYPES if owner is not None and owner.kind == "team" else EVENT_TYPES


def _one(answer: Answer) -> EventType:
    """One event type; a managed one is answered as a list that begins with the parent (fact sheet 4.6)."""
    data = answer.data()
    if isinstance(data, list) and data:
        data = cast("list[Any]", data)[0]
    return schemas.event_type(data, answer.exchange)

"""Webhook subscriptions of users, event types and organizations.

Facts: fact sheet 7.1, recordings `06*`.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import (
    bad_request,
    conflict,
    database_error,
    duplicate_record,
    forbidden,
    not_found,
)
from calcom_pipeline.sandbox.core.json_types import Json, holds_nul
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.event_types.personal_api import read_id
from calcom_pipeline.sandbox.event_types.team_api import require_organization
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, success
from calcom_pipeline.sandbox.http.call import Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import ANY
from calcom_pipeline.sandbox.state.model import ADMIN_ROLES, SandboxWebhook
from calcom_pipeline.sandbox.validation import webhooks as rules
from calcom_pipeline.sandbox.validation.engine import clean

_DEFAULT_TAKE: Final = 250
_LOCAL_HOSTS: Final = ("localhost", "127.", "10.", "192.168.", "169.254.", "[::1]", "0.0.0.0")  # noqa: S104 - refused, not bound
_MEMBERS: Final = {
    "payloadTemplate": "template",
    "active": "active",
    "subscriberUrl": "url",
    "triggers": "triggers",
    "secret": "secret",
    "version": "version",
    "time": "time",
    "timeUnit": "time_unit",
}


class HookScope:
    """Whose webhooks a route is about: how they are found, marked, and what a clash is called."""

    attribute = ""  # of a webhook's row, in which its owner stands
    member = ""  # of an answer, in which the owner is shown
    called = ""  # in the sentence about a clash

    def owner(self, call: SandboxCall) -> int:
        """The id of the owner that the path names, if the caller may; raises 403 or 404."""
        raise NotImplementedError

    def refuse_foreign(self, call: SandboxCall, webhook: SandboxWebhook) -> None:
        """Raises what Cal.com answers about a webhook of another owner."""
        raise NotImplementedError

    def owned(self, call: SandboxCall) -> list[SandboxWebhook]:
        """The owner's webhooks, oldest first."""
        owner = self.owner(call)
        return [one for one in call.world.webhooks.values() if getattr(one, self.attribute) == owner]

    def shown(self, webhook: SandboxWebhook) -> Json:
        """A webhook as lists and writes answer it."""
        return {
            "id": webhook.id,
            "payloadTemplate": webhook.template,
            "triggers": webhook.triggers,
            "subscriberUrl": webhook.url,
            "active": webhook.active,
            "secret": webhook.secret,
            self.member: getattr(webhook, self.attribute),
        }

    async def list_all(self, call: SandboxCall) -> SandboxAnswer:
        """GET."""
        query = clean(rules.LIST_QUERY, call.query)
        owned = self.owned(call)
        skip, take = int(query.get("skip") or 0), int(query.get("take") or _DEFAULT_TAKE)
        return success([self.shown(one) for one in owned[skip : skip + take]])

    async def create(self, call: SandboxCall) -> SandboxAnswer:
        """POST."""
        body = clean(rules.CREATE_BODY, call.body)
        owned = self.owned(call)
        _check_url(call, body)
        if any(one.url == body["subscriberUrl"] for one in owned):
            raise conflict(f"Webhook with this subscriber url already exists for this {self.called}")
        webhook = SandboxWebhook(call.sandbox.ids.uuid(), "", [], active=True, created=call.now)
        setattr(webhook, self.attribute, self.owner(call))
        _write(webhook, body)
        call.world.webhooks[webhook.id] = webhook
        return created(self.shown(webhook))

    async def read(self, call: SandboxCall) -> SandboxAnswer:
        """GET one."""
        return success(self.shown(self.find(call)))

    def find(self, call: SandboxCall) -> SandboxWebhook:
        """The webhook of the path; raises 404 if there is none, and what fits if it is another owner's."""
        owner = self.owner(call)
        webhook = call.world.webhooks.get(call.params["webhookId"])
        if webhook is None:
            raise not_found(self.unknown(call))
        if getattr(webhook, self.attribute) != owner:
            self.refuse_foreign(call, webhook)
        return webhook

    def unknown(self, call: SandboxCall) -> str:
        """The sentence about a webhook that does not exist."""
        return f"Webhook ({call.params['webhookId']}) not found"

    async def update(self, call: SandboxCall) -> SandboxAnswer:
        """PATCH one."""
        webhook = self.find(call)
        body = clean(rules.UPDATE_BODY, call.body)
        _check_url(call, body)
        self.check_change(call, webhook, body)
        _write(webhook, body)
        return success(self.shown(webhook))

    def check_change(self, call: SandboxCall, webhook: SandboxWebhook, body: Json) -> None:
        """Raises what the database answers to a change that it does not take."""

    async def delete(self, call: SandboxCall) -> SandboxAnswer:
        """DELETE one."""
        webhook = self.find(call)
        del call.world.webhooks[webhook.id]
        return success(self.shown(webhook))

    async def delete_all(self, call: SandboxCall) -> SandboxAnswer:
        """DELETE the collection."""
        owned = self.owned(call)
        for webhook in owned:
            del call.world.webhooks[webhook.id]
        return success(f"{len(owned)} webhooks deleted")

    def routes(self, path: str, *, whole: bool = False) -> list[Route]:
        """The scope's routes below a path."""
        one = path + "/{webhookId}"
        found = [
            Route("GET", path, self.list_all, ANY),
            Route("POST", path, self.create, ANY),
            Route("GET", one, self.read, ANY),
            Route("PATCH", one, self.update, ANY),
            Route("DELETE", one, self.delete, ANY),
        ]
        return [*found, Route("DELETE", path, self.delete_all, ANY)] if whole else found


def _check_url(call: SandboxCall, body: Json) -> None:
    """Newer builds refuse what is not public https; the recorded one takes any text (`06j`)."""
    url = body.get("subscriberUrl")
    if not call.sandbox.switches.refuse_local_webhooks or url is None:
        return
    if not url.startswith("https://"):
        raise bad_request("Webhook URL is not allowed: Only HTTPS URLs are allowed")
    if url.removeprefix("https://").startswith(_LOCAL_HOSTS):
        raise bad_request("Webhook URL is not allowed: Private IP address")


def _write(webhook: SandboxWebhook, body: Json) -> None:
    """Raises 500 for a NUL in a text, which the database keeps nowhere (guess: seen with bookings alone)."""
    if holds_nul(body):
        raise database_error()
    for member, attribute in _MEMBERS.items():
        value: Any = body.get(member)
        if value is not None:
            setattr(webhook, attribute, value)


class _UserScope(HookScope):
    attribute, member, called = "user_id", "userId", "user"

    def owner(self, call: SandboxCall) -> int:
        return call.caller.id

    def refuse_foreign(self, call: SandboxCall, webhook: SandboxWebhook) -> None:
        raise forbidden(
            f"IsUserWebhookGuard - user with id=({call.caller.id}) is not the owner of webhook with id=({webhook.id})"
        )

    def check_change(self, call: SandboxCall, webhook: SandboxWebhook, body: Json) -> None:
        if any(one.url == body.get("subscriberUrl") and one.id != webhook.id for one in self.owned(call)):
            raise duplicate_record()

    async def read(self, call: SandboxCall) -> SandboxAnswer:
        """GET one: a user's own webhook is answered with its whole row."""
        webhook = self.find(call)
        return success(
            {
                "id": webhook.id,
                "userId": webhook.user_id,
                "teamId": None,
                "eventTypeId": None,
                "subscriberUrl": webhook.url,
                "payloadTemplate": webhook.template,
                "createdAt": iso(webhook.created),
                "active": webhook.active,
                "appId": None,
                "secret": webhook.secret,
                "platform": False,
                "time": webhook.time,
                "timeUnit": webhook.time_unit,
                "version": webhook.version,
                "triggers": webhook.triggers,
                "oAuthClientId": None,
            }
        )


class _EventTypeScope(HookScope):
    attribute, member, called = "event_type_id", "eventTypeId", "event type"
    guard = "IsUserEventTypeWebhookGuard"

    def owner(self, call: SandboxCall) -> int:
        event_type_id = read_id(call.params["eventTypeId"])
        event_type = call.world.event_types.get(event_type_id)
        if event_type is None:
            raise not_found(f"{self.guard} - Event type ({event_type_id}) not found")
        if event_type.owner_id != call.caller.id:
            raise forbidden(f"{self.guard} - User ({call.caller.id}) is not the owner of event type ({event_type_id})")
        return event_type_id

    def refuse_foreign(self, call: SandboxCall, webhook: SandboxWebhook) -> None:
        about = f"{self.guard} - Webhook ({webhook.id}) is not associated with"
        if webhook.event_type_id is None:
            raise bad_request(f"{about} an event type")
        raise forbidden(f"{about} event type ({call.params['eventTypeId']})")


class _TeamEventTypeScope(_EventTypeScope):
    guard = "IsTeamEventTypeWebhookGuard"

    def owner(self, call: SandboxCall) -> int:
        team_id, event_type_id = read_id(call.params["teamId"]), read_id(call.params["eventTypeId"])
        user_id = call.caller.id
        if call.world.role_in(user_id, team_id) not in ADMIN_ROLES:
            raise forbidden(f"{self.guard} - User ({user_id}) is not an admin/owner of team ({team_id})")
        event_type = call.world.event_types.get(event_type_id)
        if event_type is None or event_type.team_id != team_id:
            raise not_found(f"{self.guard} - Event type ({event_type_id}) not found for team ({team_id})")
        return event_type_id

    def refuse_foreign(self, call: SandboxCall, webhook: SandboxWebhook) -> None:  # noqa: ARG002 - the shape of its siblings
        if webhook.event_type_id is None:
            raise bad_request(f"{self.guard} - Webhook ({webhook.id}) no event type")
        raise forbidden(f"{self.guard} - Webhook mismatch with event type")

    def unknown(self, call: SandboxCall) -> str:
        return f"{self.guard} - Webhook ({call.params['webhookId']}) not found"


class _OrganizationScope(HookScope):
    attribute, member, called = "team_id", "teamId", "organization"

    def owner(self, call: SandboxCall) -> int:
        return require_organization(call).id

    def refuse_foreign(self, call: SandboxCall, webhook: SandboxWebhook) -> None:
        organization_id = call.params["orgId"]
        raise forbidden(f"Webhook ({webhook.id}) is not associated with organization ({organization_id})")


_USER, _EVENT_TYPE, _TEAM_EVENT_TYPE = _UserScope(), _EventTypeScope(), _TeamEventTypeScope()
_ORGANIZATION = _OrganizationScope()
ROUTES: Final = [
    *_USER.routes("/v2/webhooks"),
    *_EVENT_TYPE.routes("/v2/event-types/{eventTypeId}/webhooks", whole=True),
    *_TEAM_EVENT_TYPE.routes("/v2/teams/{teamId}/event-types/{eventTypeId}/webhooks", whole=True),
    *_ORGANIZATION.routes("/v2/organizations/{orgId}/webhooks"),
]

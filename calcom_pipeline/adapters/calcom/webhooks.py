"""Webhook subscriptions of the key's user and of event types. Fact sheet 7.1; these endpoints answer to any version."""

from typing import Any

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.endpoint import ApiEndpoints, EndpointGroup
from calcom_pipeline.adapters.calcom.idempotent_create import ExactlyOnce
from calcom_pipeline.domain.errors import NotFound
from calcom_pipeline.domain.listed import Listed, UnreadableRow
from calcom_pipeline.domain.webhooks.models import PAYLOAD_VERSION, NewWebhook, Webhook, WebhookScope

GROUP = EndpointGroup("webhooks", None)
_PAGE_ROWS = 250
OWN = WebhookScope()


class WebhookEndpoints(ApiEndpoints):
    """Reads and writes of subscriptions."""

    groups = (GROUP,)

    def list_webhooks(self, scope: WebhookScope = OWN) -> Listed[Webhook]:
        """All subscriptions of a scope. A page that brings nothing new is the last, whatever its length."""
        found = dict[str, Webhook]()
        unreadable = dict[UnreadableRow, None]()
        skip = repeated = 0
        while True:
            params = {"take": _PAGE_ROWS, "skip": skip}
            answer = self._get("Listing webhooks", _path(scope), group=GROUP, params=params)
            page = schemas.webhooks(answer.content, answer.exchange)
            before = len(found) + len(unreadable)
            for webhook in page:
                found.setdefault(webhook.id, webhook)
            unreadable |= dict.fromkeys(page.unreadable)
            repeated += page.shown - (len(found) + len(unreadable) - before)
            skip += page.shown
            if page.shown < _PAGE_ROWS or len(found) + len(unreadable) == before:
                return Listed(tuple(found.values()), tuple(unreadable), repeated)

    def create_webhook(self, webhook: NewWebhook, scope: WebhookScope = OWN) -> Webhook:
        """Subscribe, exactly once: after a doubt it is found by its URL, and made what it should be.

        Raises:
            Conflict: the URL is subscribed already.
            OutcomeUnknown: the doubt could not be cleared.
        """

        def create() -> Webhook:
            answer = self._send(
                "Creating a webhook", "POST", _path(scope), group=GROUP, kind="create", body=_body(webhook)
            )
            return schemas.webhook(answer.data(), answer.exchange)

        def look() -> Webhook | None:
            return next((one for one in self.list_webhooks(scope) if one.url == webhook.url), None)

        context = self._context
        once = ExactlyOnce(
            create,
            look,
            key=webhook.url,
            rules=context.options.grace,
            sleep=context.sleep,
            clock=context.clock,
        )
        made = once.run()
        # The URL alone was looked for: what was found may be an older subscription of it.
        return made.value if _is_as_wanted(made.value, webhook) else self.update_webhook(made.value.id, webhook, scope)

    def update_webhook(self, webhook_id: str, webhook: NewWebhook, scope: WebhookScope = OWN) -> Webhook:
        """Make a subscription what it should be."""
        answer = self._send(
            "Changing a webhook",
            "PATCH",
            _path(scope, webhook_id),
            group=GROUP,
            kind="absolute",
            # A template that somebody gave it would replace the body that we read. Guess: an empty one is none.
            body={**_body(webhook), "payloadTemplate": ""},
        )
        return schemas.webhook(answer.data(), answer.exchange)

    def delete_webhook(self, webhook_id: str, scope: WebhookScope = OWN) -> None:
        """Unsubscribe; a subscription that is gone already is no error."""
        try:
            self._send("Deleting a webhook", "DELETE", _path(scope, webhook_id), group=GROUP, kind="absolute")
        except NotFound:
            return


def _is_as_wanted(found: Webhook, wanted: NewWebhook) -> bool:
    same = (found.active, found.secret, found.template or "") == (wanted.active, wanted.secret, "")
    return same and set(found.triggers) == set(wanted.triggers)


def _path(scope: WebhookScope, webhook_id: str = "") -> str:
    team = f"/teams/{scope.team_id}" if scope.team_id is not None else ""
    event_type = f"/event-types/{scope.event_type_id}" if scope.event_type_id is not None else ""
    return f"{team}{event_type}/webhooks" + (f"/{webhook_id}" if webhook_id else "")


def _body(webhook: NewWebhook) -> dict[str, Any]:
    return {
        "active": webhook.active,
        "subscriberUrl": webhook.url,
        "triggers": list(webhook.triggers),
        "secret": webhook.secret,
        "version": PAYLOAD_VERSION,
    }

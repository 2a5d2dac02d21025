"""What use cases need of webhook subscriptions."""

from typing import Protocol

from calcom_pipeline.domain.webhooks.models import NewWebhook, Webhook, WebhookScope


class WebhookApi(Protocol):
    """Webhook subscriptions, of the key's own user or of an event type."""

    def list_webhooks(self, scope: WebhookScope = ...) -> list[Webhook]:
        """All subscriptions of a scope."""
        ...

    def create_webhook(self, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Subscribe, exactly once. Raises Conflict when the URL is subscribed already."""
        ...

    def update_webhook(self, webhook_id: str, webhook: NewWebhook, scope: WebhookScope = ...) -> Webhook:
        """Make a subscription what it should be."""
        ...

    def delete_webhook(self, webhook_id: str, scope: WebhookScope = ...) -> None:
        """Unsubscribe; a subscription that is gone already is no error."""
        ...

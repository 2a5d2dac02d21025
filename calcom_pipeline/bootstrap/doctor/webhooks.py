"""The doctor's look at webhooks: a test delivery to our own receiver, by the way that Cal.com's take."""

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError

_ADVICE = "Is `serve` running there with CALCOM_WEBHOOK_SECRET, and does CALCOM_WEBHOOK_URL lead to it?"


def receiver(container: Container) -> str:
    """Whether it takes deliveries that are signed as Cal.com's will be."""
    group = container.subscriptions
    if not group.is_wanted:
        return "none: CALCOM_WEBHOOK_URL is not set, changes are found by polling"
    wanted, there = group.wanted, group.receiver
    if not there.takes(wanted.secret, now=utc_now()):
        raise PipelineError(f"The receiver at {wanted.url} does not take a test delivery", advice=_ADVICE)
    if not all(there.takes(secret, now=utc_now()) for secret in wanted.previous):
        return f"note: {wanted.url} takes test deliveries, but none signed with the previous secret"
    return f"{wanted.url} takes test deliveries"

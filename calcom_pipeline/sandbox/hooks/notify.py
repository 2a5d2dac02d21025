"""Who hears of what happened to a booking. Facts: fact sheet 7.2, recordings `hook-*`."""

from collections.abc import Iterable
from typing import Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import iso
from calcom_pipeline.sandbox.hooks import afterwards, payloads
from calcom_pipeline.sandbox.hooks.delivery import compose
from calcom_pipeline.sandbox.hooks.payloads import Occasion
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.state.model import SandboxAttendee, SandboxBooking, SandboxEventType, SandboxWebhook
from calcom_pipeline.sandbox.state.world import World

CREATED: Final = "BOOKING_CREATED"
REQUESTED: Final = "BOOKING_REQUESTED"
RESCHEDULED: Final = "BOOKING_RESCHEDULED"
CANCELLED: Final = "BOOKING_CANCELLED"
REJECTED: Final = "BOOKING_REJECTED"
ABSENT: Final = "BOOKING_NO_SHOW_UPDATED"


def subscribers(
    world: World, booking: SandboxBooking, event_type: SandboxEventType | None, trigger: str
) -> list[SandboxWebhook]:
    """The active subscriptions to a trigger: of the organizer, of the type, of the organization.

    Of a team's type the organizer hears nothing but that one of its bookings was rejected.
    """
    is_teams = event_type is not None and event_type.team_id is not None
    organizer = None if is_teams and trigger != REJECTED else booking.user_id
    user = world.users.get(booking.user_id or 0)
    found: list[SandboxWebhook] = []
    for webhook in world.webhooks.values():
        concerns = (
            (webhook.user_id is not None and webhook.user_id == organizer)
            or (webhook.event_type_id is not None and webhook.event_type_id == booking.event_type_id)
            or (webhook.team_id is not None and user is not None and webhook.team_id == user.organization_id)
        )
        if concerns and webhook.active and trigger in webhook.triggers:
            found.append(webhook)
    return found


async def _send(sandbox: Sandbox, trigger: str, webhooks: Iterable[SandboxWebhook], payload: Json) -> None:
    created_at = iso(sandbox.clock.now())
    await sandbox.deliveries.send([compose(webhook, trigger, created_at, payload) for webhook in webhooks])


async def about_new(sandbox: Sandbox, occasion: Occasion) -> None:
    """A booking was made or moved: one event, which one depends on its state and its past."""
    booking = occasion.booking
    trigger = CREATED if booking.status == "accepted" else REQUESTED
    if occasion.predecessor is not None and booking.status == "accepted":
        trigger = RESCHEDULED
    webhooks = subscribers(sandbox.world, booking, occasion.event_type, trigger)
    if webhooks:
        payload = payloads.created(sandbox.world, occasion)
        await _send(sandbox, trigger, webhooks, payload)


async def about_cancelled(
    sandbox: Sandbox,
    occasion: Occasion,
    *,
    reason: str | None,
    whole_series: bool = False,
    asks_to_move: bool = False,
) -> None:
    """A booking or a series is being cancelled, and the row changes only after this; or a seat was given back."""
    webhooks = subscribers(sandbox.world, occasion.booking, occasion.event_type, CANCELLED)
    if webhooks:
        payload = afterwards.cancelled(
            sandbox.world, occasion, reason=reason, whole_series=whole_series, asks_to_move=asks_to_move
        )
        await _send(sandbox, CANCELLED, webhooks, payload)


async def about_confirmed(sandbox: Sandbox, occasion: Occasion) -> None:
    """A pending booking was confirmed."""
    webhooks = subscribers(sandbox.world, occasion.booking, occasion.event_type, CREATED)
    if webhooks:
        payload = afterwards.confirmed(sandbox.world, occasion)
        await _send(sandbox, CREATED, webhooks, payload)


async def about_rejected(sandbox: Sandbox, occasion: Occasion, reason: str | None) -> None:
    """A pending booking was declined."""
    webhooks = subscribers(sandbox.world, occasion.booking, occasion.event_type, REJECTED)
    if webhooks:
        payload = afterwards.rejected(sandbox.world, occasion, reason)
        await _send(sandbox, REJECTED, webhooks, payload)


async def about_absent(
    sandbox: Sandbox, booking: SandboxBooking, event_type: SandboxEventType | None, marked: list[SandboxAttendee]
) -> None:
    """Attendees were marked absent."""
    webhooks = subscribers(sandbox.world, booking, event_type, ABSENT)
    if webhooks:
        await _send(sandbox, ABSENT, webhooks, afterwards.absent(booking, marked))

"""`MEETING_STARTED` and `MEETING_ENDED`: sent when a booking's start or end passes, flat, a day late at most."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

import numpy as np
import orjson

from calcom_pipeline.sandbox.core.times import DAY_MS
from calcom_pipeline.sandbox.hooks.delivery import Message
from calcom_pipeline.sandbox.hooks.notify import subscribers
from calcom_pipeline.sandbox.hooks.payloads import meeting_row
from calcom_pipeline.sandbox.runtime import Sandbox

_EVERY_SECONDS: Final = 1.0
_LATEST_MS: Final = DAY_MS
_MEETINGS: Final[tuple[tuple[str, Literal["start", "end"]], ...]] = (
    ("MEETING_STARTED", "start"),
    ("MEETING_ENDED", "end"),
)


async def send_due(sandbox: Sandbox, since: int, until: int) -> None:
    """Tells subscribers of the meetings that started or ended after `since` and not after `until`."""
    world = sandbox.world
    for trigger, edge in _MEETINGS:
        if not any(trigger in webhook.triggers for webhook in world.webhooks.values()):
            continue
        order, keys = world.bookings.order(edge)
        low = int(np.searchsorted(keys, max(since, until - _LATEST_MS), side="right"))
        high = int(np.searchsorted(keys, until, side="right"))
        for position in order[low:high].tolist():
            booking = world.bookings.at(position)
            if booking.status != "accepted":
                continue
            event_type = world.event_types.get(booking.event_type_id or 0)
            webhooks = subscribers(world, booking, event_type, trigger)
            body = orjson.dumps(meeting_row(booking, trigger))
            await sandbox.deliveries.send([Message(webhook, trigger, body) for webhook in webhooks])


@asynccontextmanager
async def watch_meetings(sandbox: Sandbox) -> AsyncGenerator[None]:
    """Looks at the clock every second as long as the application runs."""

    async def watch() -> None:
        seen = sandbox.clock.now()
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            now = sandbox.clock.now()
            if now > seen:
                await send_due(sandbox, seen, now)
            seen = now

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

"""The synthetic event type of several users together (`?usernames=`): it has no row.

Facts: fact sheet 4.1, 5.1.
"""

from typing import Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.event_types import views
from calcom_pipeline.sandbox.event_types.fields import default_fields
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.state.world import World

DYNAMIC_MINUTES: Final = 30
_LENGTHS: Final = [15, 30, 60]


def dynamic_type(world: World, usernames: list[str]) -> Json:
    """What the event-type list answers for several users."""
    users = [user for user in (world.user_named(name) for name in usernames) if user is not None]
    event_type = SandboxEventType(
        id=0,
        length=DYNAMIC_MINUTES,
        title="Dynamic",
        slug="dynamic",
        length_options=list(_LENGTHS),
        booking_fields=default_fields(),
    )
    if not users:
        shown = views.for_team(world, event_type, names="id")
        for name in ("hosts", "teamId", "parentEventTypeId", "schedulingType", "assignAllTeamMembers", "team",
                     "rescheduleWithSameRoundRobinHost", "rrHostSubsetEnabled"):  # fmt: skip
            shown.pop(name, None)
        return shown | {"ownerId": 0, "users": []}
    event_type.owner_id = users[0].id
    shown = views.personal(world, event_type, with_hidden=False)
    everybody = [views.personal_user(user) for user in users]
    return shown | {"ownerId": 0, "users": everybody, "bookingUrl": ""}

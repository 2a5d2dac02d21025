"""Event types as a create makes them, from bodies that need no checking, for accounts made here."""

import copy

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.event_types import inputs
from calcom_pipeline.sandbox.event_types.personal_api import add
from calcom_pipeline.sandbox.event_types.team_api import sync_children
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxHost, SchedulingType
from calcom_pipeline.sandbox.state.world import World


def add_personal(world: World, owner_id: int, body: Json, now: int) -> SandboxEventType:
    """A personal event type as a create makes it, from a body that needs no checking."""
    event_type = SandboxEventType(id=0, length=0, title="", slug="", owner_id=owner_id, created=now)
    inputs.write(event_type, copy.deepcopy(body), creating=True)
    add(world, event_type)
    return event_type


def add_for_team(
    world: World, team_id: int, body: Json, kind: SchedulingType, hosts: list[SandboxHost], now: int
) -> SandboxEventType:
    """A team's event type as a create makes it, with the children of a managed one."""
    event_type = SandboxEventType(id=0, length=0, title="", slug="", team_id=team_id, scheduling=kind, created=now)
    inputs.write(event_type, copy.deepcopy(body), creating=True)
    event_type.hosts = [SandboxHost(h.user_id, h.mandatory, h.priority, now) for h in hosts]
    add(world, event_type)
    if kind == "managed":
        sync_children(world, event_type)
    return event_type

"""Who takes a booking: the organizer and those who join him.

Facts: fact sheet 6.5 and 11, recordings `03j`, `03k`, `32b`.
"""

from dataclasses import dataclass

import numpy as np

from calcom_pipeline.sandbox.core.errors import Enveloped, bad_request, internal_error
from calcom_pipeline.sandbox.slots.availability import Question, asked_hosts, is_free
from calcom_pipeline.sandbox.state.columns import STATUS_CODES
from calcom_pipeline.sandbox.state.model import SandboxEventType, User
from calcom_pipeline.sandbox.state.world import World

_PRIORITIES = {"lowest": 0, "low": 1, "medium": 2, "high": 3, "highest": 4}


@dataclass(frozen=True, slots=True)
class Assignment:
    """The organizer of a booking, and the other hosts, who become attendees."""

    organizer: User
    others: tuple[User, ...] = ()


def unavailable(event_type: SandboxEventType, *, moving: bool = False) -> Enveloped:
    """The answer for a time that nobody can take.

    Guess, from the published source: a move names the user, whoever the type belongs to.
    """
    if event_type.team_id is not None and not moving:
        return bad_request("One of the hosts either already has booking at this time or is not available")
    return bad_request("User either already has booking at this time or is not available")


def assign(world: World, question: Question, *, preferred: int | None = None, moving: bool = False) -> Assignment:
    """The hosts for a booking of exactly the question's time.

    `preferred` is the host of a booking that is being moved, for types that keep it. Raises 400 if nobody is free, and
    the unforeseen 500 if somebody is, but not everybody who must be (fact sheet 10 S5).
    """
    event_type = question.event_type
    hosts = asked_hosts(world, question)
    free = [host for host in hosts if is_free(world, question, host)]
    if not free:
        raise unavailable(event_type, moving=moving)
    if event_type.scheduling == "roundRobin":
        chosen = _rotate(world, event_type, hosts, free, preferred)
    else:
        chosen = hosts if len(free) == len(hosts) else []
    if not chosen:
        raise internal_error()
    users = [world.users[host] for host in chosen]
    return Assignment(users[0], tuple(users[1:]))


def _rotate(
    world: World, event_type: SandboxEventType, hosts: list[int], free: list[int], preferred: int | None
) -> list[int]:
    """The fixed hosts and one of the others; nobody if one of the fixed ones is not free, or none of the others.

    Guess, from the published source: both of these are as unforeseen as in a collective type.
    """
    fixed = [host.user_id for host in world.hosts_of(event_type) if host.mandatory and host.user_id in hosts]
    if any(host not in free for host in fixed):
        return []
    rotating = [host for host in free if host not in fixed]
    if not rotating:
        return fixed if len(fixed) == len(hosts) else []
    lucky = preferred if preferred in rotating else luckiest(world, event_type, rotating)
    return [*fixed, lucky]


def luckiest(world: World, event_type: SandboxEventType, candidates: list[int]) -> int:
    """Of the hosts with the highest priority, the one whose last booking of this type was made longest ago."""
    priority = {host.user_id: _PRIORITIES.get(host.priority, 2) for host in world.hosts_of(event_type)}
    best = max(priority.get(host, 2) for host in candidates)
    favoured = [host for host in candidates if priority.get(host, 2) == best]
    columns = world.bookings.columns
    chosen = columns.alive & (columns.event_type == event_type.id) & (columns.status == STATUS_CODES["accepted"])
    last = dict.fromkeys(favoured, 0)
    for position in np.flatnonzero(chosen).tolist():
        host = int(columns.user[position])
        if host in last:
            last[host] = max(last[host], int(columns.created[position]))
    return min(favoured, key=lambda host: last[host])

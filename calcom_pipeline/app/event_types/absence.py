"""Look into what a listing, or the list of teams, does not show any more, before anything of it is deleted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Protocol

from calcom_pipeline.app.event_types.ports import EventTypeMirror, EventTypeReads
from calcom_pipeline.domain.errors import CalcomError, ContractBroken, NotFound
from calcom_pipeline.domain.event_types.absence import (
    AbsenceRules,
    Absent,
    Evidence,
    Verdict,
    confirmed,
    judge,
    to_examine,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner


class Membership(Protocol):
    """Whether a team still lets the key in."""

    def is_refused_by(self, team_id: int) -> bool:
        """Whether the team's members are a 403 or a 404 for this key."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """How many event types were settled as gone, how many are missing and kept, and what to say about those."""

    gone: int = 0
    kept: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Looked") -> "Looked":
        return Looked(self.gone + other.gone, self.kept + other.kept, self.notes + other.notes)


def settle_absent(
    calcom: EventTypeReads,
    mirror: EventTypeMirror,
    absent: Sequence[Absent],
    listed: Sequence[EventType],
    *,
    rules: AbsenceRules,
    now: Callable[[], datetime],
) -> Looked:
    """Event types of one owner that its listing lacks: a call each up to the limit, and one for a listed one."""
    if not absent:
        return Looked()
    owner = absent[0].owner
    evidence = _evidence(calcom, owner, to_examine(absent, rules.proofs), listed)
    verdict = judge(absent, evidence, rules, now=now())
    return _written(mirror, owner, absent, verdict, now())


def settle_absent_owners(
    calcom: Membership,
    mirror: EventTypeMirror,
    absent: Sequence[Absent],
    *,
    rules: AbsenceRules,
    now: Callable[[], datetime],
) -> Looked:
    """Event types of owners that are no longer there to be read: a team that was left, a key that is somebody else's.

    A team is proven left when its members cannot be listed any more, while the key's own listing was read just now. For
    everything else time has to tell. A call per team.
    """
    looked = Looked()
    by_owner = sorted(absent, key=lambda one: (one.owner, one.event_type_id))
    for owner, group in groupby(by_owner, key=lambda one: one.owner):
        members = list(group)
        looked += _written(mirror, owner, members, _verdict_on(calcom, owner, members, rules, now()), now())
    return looked


def _verdict_on(
    calcom: Membership, owner: Owner, absent: Sequence[Absent], rules: AbsenceRules, now: datetime
) -> Verdict:
    everything = frozenset(one.event_type_id for one in absent)
    said = "the list of teams lacks it" if owner.kind == "team" else "the key is another user's now"
    if owner.kind == "team":
        try:
            if calcom.is_refused_by(owner.id):
                return Verdict(everything)
        except CalcomError as error:
            said += f"; looking at its members failed ({error})"
        else:
            return Verdict(frozenset(), f"{said}, but its members can still be listed")
    gone = confirmed(absent, rules, now=now)
    return Verdict(gone, f"{said}, which is not confirmed yet" if gone != everything else "")


def _evidence(
    calcom: EventTypeReads, owner: Owner, examined: Sequence[Absent], listed: Sequence[EventType]
) -> Evidence:
    refused, shown = set[int](), set[int]()
    try:
        for one in examined:
            (shown if _can_be_read(calcom, owner, one.event_type_id) else refused).add(one.event_type_id)
        sibling = _can_be_read(calcom, owner, listed[0].id) if refused and not shown and listed else None
    except CalcomError as error:  # what was read so far counts; the rest waits for the next look
        return Evidence(frozenset(refused), frozenset(shown), None, str(error))
    return Evidence(frozenset(refused), frozenset(shown), sibling)


def _can_be_read(calcom: EventTypeReads, owner: Owner, event_type_id: int) -> bool:
    try:
        calcom.get_event_type(event_type_id, owner=owner)
    except NotFound:
        return False
    except ContractBroken:
        return True  # it is there, whatever is odd about it
    return True


def _written(
    mirror: EventTypeMirror, owner: Owner, absent: Sequence[Absent], verdict: Verdict, now: datetime
) -> Looked:
    gone = mirror.mark_gone(sorted(verdict.gone), read_at=now) if verdict.gone else 0
    kept = [one.event_type_id for one in absent if one.event_type_id not in verdict.gone]
    if not kept:
        return Looked(gone)
    mirror.doubt(kept, verdict.why_not)
    return Looked(gone, len(kept), (f"{len(kept)} event types of {owner} are missing and kept: {verdict.why_not}",))

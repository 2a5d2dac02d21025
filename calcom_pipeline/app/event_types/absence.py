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
    AbsenceVerdict,
    Absent,
    Evidence,
    confirmed,
    judge,
    to_examine,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.models import Team

_NOT_LISTED = "the list of teams lacks it"
_STILL_IN = f"{_NOT_LISTED}, but its members can still be listed"


class MembershipApi(Protocol):
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
    calcom: MembershipApi,
    mirror: EventTypeMirror,
    absent: Sequence[Absent],
    teams: Sequence[Team],
    *,
    rules: AbsenceRules,
    now: Callable[[], datetime],
) -> Looked:
    """Event types of owners that are no longer there to be read: a team that was left, a key that is somebody else's.

    A team is proven left when its members cannot be listed any more, while those of one of the listed `teams` can. For
    everything else time has to tell. A call per team, and one.
    """
    looked = Looked()
    by_owner = sorted(absent, key=lambda one: (one.owner, one.event_type_id))
    for owner, group in groupby(by_owner, key=lambda one: one.owner):
        members = list(group)
        doubt = _why_not_left(calcom, owner, teams)
        if not doubt:
            verdict = AbsenceVerdict(frozenset(one.event_type_id for one in members))
        elif doubt == _STILL_IN:
            verdict = AbsenceVerdict(frozenset(), doubt)
        else:
            verdict = _time_tells(members, rules, now(), doubt)
        looked += _written(mirror, owner, members, verdict, now())
    return looked


def _why_not_left(calcom: MembershipApi, owner: Owner, teams: Sequence[Team]) -> str:
    """Why an owner is not proven to be out of the key's sight; empty when it is."""
    if owner.kind == "user":
        return "the key is another user's now"
    try:
        if not calcom.is_refused_by(owner.id):
            return _STILL_IN
        if not teams:
            return f"{_NOT_LISTED}, and no other team is, to compare with"
        if calcom.is_refused_by(teams[0].id):
            return f"{_NOT_LISTED}, but neither can the members of a listed team be read"
    except CalcomError as error:
        return f"{_NOT_LISTED}, and looking at its members failed ({error})"
    return ""


def _time_tells(absent: Sequence[Absent], rules: AbsenceRules, now: datetime, doubt: str) -> AbsenceVerdict:
    gone = confirmed(absent, rules, now=now)
    return AbsenceVerdict(gone, f"{doubt}; that is not confirmed yet" if len(gone) < len(absent) else "")


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
    mirror: EventTypeMirror, owner: Owner, absent: Sequence[Absent], verdict: AbsenceVerdict, now: datetime
) -> Looked:
    gone = mirror.mark_gone(sorted(verdict.gone), read_at=now) if verdict.gone else 0
    kept = [one.event_type_id for one in absent if one.event_type_id not in verdict.gone]
    if not kept:
        return Looked(gone)
    mirror.doubt(kept, verdict.why_not)
    return Looked(gone, len(kept), (f"{len(kept)} event types of {owner} are missing and kept: {verdict.why_not}",))

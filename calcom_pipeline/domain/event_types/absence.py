"""When an event type that a listing no longer shows counts as gone: proven, or missing again and again.

A listing alone proves nothing: one empty answer would delete everything. Proven gone is an event type whose own read is
a 404 while another of the same owner can be read the same way, since a key that lost its rights gets 404 for all.
Where nothing can be proven, later looks may confirm it, but never against an own read that works.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.domain.event_types.models import Owner


@dataclass(frozen=True, slots=True)
class Absent:
    """A mirrored event type that the last `looks` listings in a row did not show, the first of them at `since`."""

    event_type_id: int
    owner: Owner
    since: datetime
    looks: int


@dataclass(frozen=True, slots=True)
class AbsenceRules:
    """See the settings of the same names: own reads spent on one owner and look, and what confirms an absence."""

    proofs: int = 20
    looks: int = 3
    spread: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What own reads found. `sibling` is one that is listed: whether it can be read by its id; None: nobody to try.

    `failed` says why own reads could not be made.
    """

    refused: frozenset[int] = frozenset()
    shown: frozenset[int] = frozenset()
    sibling: bool | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class AbsenceVerdict:
    """Which of them are gone, and why the others are not taken for it (empty if there are none)."""

    gone: frozenset[int]
    why_not: str = ""


def to_examine(absent: Sequence[Absent], limit: int) -> list[Absent]:
    """Those whose own read is worth a call now; another part of them at every look."""
    ordered = sorted(absent, key=lambda one: one.event_type_id)
    at = (max((one.looks for one in ordered), default=0) * limit) % max(1, len(ordered))
    return (ordered[at:] + ordered[:at])[:limit]


def judge(absent: Sequence[Absent], evidence: Evidence, rules: AbsenceRules, *, now: datetime) -> AbsenceVerdict:
    """What may be believed of a listing that lacks some event types."""
    works = bool(evidence.shown) or evidence.sibling is True
    gone = evidence.refused if works else frozenset[int]()
    if not evidence.shown:
        gone |= confirmed(absent, rules, now=now)
    left = [one.event_type_id for one in absent if one.event_type_id not in gone]
    return AbsenceVerdict(gone, _why_not(left, evidence, rules) if left else "")


def confirmed(absent: Iterable[Absent], rules: AbsenceRules, *, now: datetime) -> frozenset[int]:
    """Those that enough looks over enough time have missed."""
    return frozenset(
        one.event_type_id for one in absent if one.looks >= rules.looks and now - one.since >= rules.spread
    )


def _why_not(left: Sequence[int], evidence: Evidence, rules: AbsenceRules) -> str:
    waits = f"counts as gone after {rules.looks} looks over {rules.spread / timedelta(minutes=1):g} minutes"
    if evidence.shown:
        return f"event type {min(evidence.shown)} is missing from the listing, but can still be read"
    if evidence.failed:
        return f"reading them one by one failed ({evidence.failed}); what stays missing {waits}"
    if evidence.sibling is False:
        return f"what is listed cannot be read by its id either, so a 404 proves nothing; what stays missing {waits}"
    if evidence.sibling is None and evidence.refused:
        return f"nothing else is listed to compare with, so a 404 proves nothing; what stays missing {waits}"
    return f"only {rules.proofs} are looked at one by one in one look; {len(left)} are left"

"""Mirror event types: a complete listing per owner, compared by content, since Cal.com gives them no timestamps."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.calls import AccountApi, Changes, Progress
from calcom_pipeline.app.event_types.absence import Looked, MembershipApi, settle_absent, settle_absent_owners
from calcom_pipeline.app.event_types.ports import EventTypeApi, EventTypeMirror, EventTypeReads
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.event_types.absence import AbsenceRules
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import EVENT_TYPES_STREAM, TEAMS_STREAM, Listed, UnreadableRow
from calcom_pipeline.domain.models import Team
from calcom_pipeline.domain.services.fields import remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.text import content_hash

_NOTES_OF_ODD_ROWS = 20


class EventTypeSource(AccountApi, EventTypeApi, EventTypeReads, MembershipApi, Protocol):
    """What Cal.com is asked for here."""


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """Which teams are read: named ids, one slug, or (neither) all that the key can see."""

    ids: Collection[int] = ()
    slug: str | None = None

    def of(self, teams: Listed[Team]) -> list[Team]:
        """The chosen ones. Raises ConfigurationError when a named team cannot be seen.

        One that is there although its row cannot be read is left out without an error.
        """
        if not self.ids and self.slug is None:
            return list(teams)
        odd = teams.unreadable_ids(TEAMS_STREAM)
        chosen = [t for t in teams if t.id in self.ids or (self.slug is not None and t.slug == self.slug)]
        unseen = set(self.ids) - {t.id for t in chosen} - odd
        problems = [f"CALCOM_TEAM_IDS names team {i}, which this key cannot see" for i in sorted(unseen)]
        if self.slug is not None and self.slug not in {t.slug for t in chosen} and not teams.unreadable:
            problems.append(f"CALCOM_TEAM_SLUG names team {self.slug}, which this key cannot see")
        if problems:
            raise ConfigurationError(problems)
        return chosen

    def leaves_out(self, team_id: int, teams: Listed[Team]) -> bool:
        """Whether it is by choice that a team is not read, and not because the list of teams lacks it."""
        if self.ids:
            return team_id not in self.ids and (self.slug is None or any(t.id == team_id for t in teams))
        return self.slug is not None and any(t.id == team_id for t in teams)


@dataclass(frozen=True, slots=True)
class EventTypesReport:
    """What one look found.

    `missing` counts event types that are not shown any more and are kept until that is proven or seen again,
    `quarantined` rows that could not be read, `repeated` rows that came again. `notes` says what an operator should
    know.
    """

    event_types: int
    owners: int
    changes: Changes
    missing: int = 0
    quarantined: int = 0
    repeated: int = 0
    notes: tuple[str, ...] = ()


def pull_event_types(
    calcom: EventTypeSource,
    mirror: EventTypeMirror,
    *,
    teams: TeamChoice,
    now: Callable[[], datetime],
    rules: AbsenceRules | None = None,
    progress: Progress | None = None,
) -> EventTypesReport:
    """Make the mirror equal to what Cal.com offers now; an unchanged event type touches no row.

    What a listing lacks is deleted once it is proven gone or was missing again and again (`absence.py`).

    Raises:
        CalcomError: Cal.com could not be read; owners read before that stay stored.
        ConfigurationError: a named team cannot be seen with this key.
    """
    me = Owner("user", calcom.me().user_id)
    asked_at = now()
    seen = calcom.teams()
    mirror.note_teams(seen, read_at=asked_at)
    rules = rules or AbsenceRules()
    chosen = teams.of(seen)
    found = _Found(odd=set(seen.unreadable), repeated=seen.repeated)
    for done, team in enumerate([None, *chosen]):
        owner = me if team is None else Owner("team", team.id)
        read_at = now()
        listing = calcom.list_personal() if team is None else calcom.list_team(team)
        replaced = mirror.replace(owner, listing, read_at=read_at)
        found.add(listing, replaced.changes)
        found.looked += settle_absent(calcom, mirror, replaced.absent, listing, rules=rules, now=now)
        if progress:
            progress(done + 1, len(chosen) + 1, f"event types of {owner}")
    read = [me, *(Owner("team", t.id) for t in chosen)]
    found.looked += _other_owners(calcom, mirror, read, seen, teams, rules, now)
    return found.report(len(read))


@dataclass
class _Found:
    """What a look has found so far."""

    odd: set[UnreadableRow]
    repeated: int = 0
    total: int = 0
    changes: Changes = field(default_factory=Changes)
    looked: Looked = field(default_factory=Looked)

    def add(self, listing: Listed[EventType], changes: Changes) -> None:
        self.total += len(listing)
        self.repeated += listing.repeated
        self.odd.update(listing.unreadable)  # those of schedules come with every owner
        self.changes += changes

    def report(self, owners: int) -> EventTypesReport:
        odd = sorted(f"a row of {row.stream} cannot be read ({row.key or '?'}): {row.reason}" for row in self.odd)
        return EventTypesReport(
            self.total,
            owners,
            self.changes + Changes(gone=self.looked.gone),
            missing=self.looked.kept,
            quarantined=len(odd),
            repeated=self.repeated,
            notes=(*self.looked.notes, *odd[:_NOTES_OF_ODD_ROWS]),
        )


def _other_owners(
    calcom: EventTypeSource,
    mirror: EventTypeMirror,
    read: list[Owner],
    teams: Listed[Team],
    choice: TeamChoice,
    rules: AbsenceRules,
    now: Callable[[], datetime],
) -> Looked:
    """Owners that are mirrored and were not read: by choice, for a row that cannot be read, or since they are gone."""
    others = [owner for owner in mirror.owners() if owner not in read]
    if not others:
        return Looked()
    team_ids = {owner.id for owner in others if owner.kind == "team"}
    left_out = [Owner("team", number) for number in sorted(team_ids) if choice.leaves_out(number, teams)]
    gone = mirror.drop_owners(left_out, read_at=now()) if left_out else 0
    odd = [Owner("team", number) for number in teams.unreadable_ids(TEAMS_STREAM)]
    absent = mirror.note_absent_owners([*read, *odd], read_at=now())
    return Looked(gone) + settle_absent_owners(calcom, mirror, absent, teams, rules=rules, now=now)


@dataclass(frozen=True, slots=True)
class EventTypeDrift:
    """Event types that are not as the mirror, or the link of their service, has them.

    `digest` names the difference; empty when there is none.
    """

    owners: int
    event_type_ids: tuple[int, ...]
    digest: str


def look_for_drift(calcom: EventTypeApi, mirror: EventTypeMirror, links: Iterable[Link]) -> EventTypeDrift:
    """Compare one listing per mirrored owner with the mirror and with links; costs a call each and writes nothing.

    With the mirror by content; with a link by what both sides last agreed on: an edit that comes between the plan and
    the mirror of one run is in the mirror already, though no service has heard of it.

    What is not compared: rows that cannot be read, the zones of schedules, and owners of whom nothing is mirrored; the
    full read finds those.

    Raises:
        CalcomError: a listing could not be read.
    """
    mirrored = mirror.present()
    owners = sorted({e.owner for e in mirrored})
    was = {e.id: e.listing_hash for e in mirrored}
    listings = [calcom.list_owner(owner) for owner in owners]
    listed = [e for listing in listings for e in listing]
    now = {e.id: e.listing_hash for e in listed}
    odd = {number for listing in listings for number in listing.unreadable_ids(EVENT_TYPES_STREAM)}
    was = {number: before for number, before in was.items() if number not in odd}
    agreed = {link.event_type_id: link.base for link in links if link.state == "linked" and link.intent is None}
    unheard = {e.id for e in listed if agreed.get(e.id, {}).items() - remote_values(e).items()}
    differing = sorted(unheard | {i for i in was.keys() | now.keys() if was.get(i) != now.get(i)})
    digest = content_hash([[i, was.get(i), now.get(i)] for i in differing]) if differing else ""
    return EventTypeDrift(len(owners), tuple(differing), digest)

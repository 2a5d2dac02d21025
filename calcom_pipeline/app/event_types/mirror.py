"""Mirror event types: a complete listing per owner, compared by content, since Cal.com gives them no timestamps."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.calls import AccountApi, Changes, Progress
from calcom_pipeline.app.event_types.ports import EventTypeApi, EventTypeMirror
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.models import Team
from calcom_pipeline.domain.services.fields import remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.text import content_hash


class Source(AccountApi, EventTypeApi, Protocol):
    """What Cal.com is asked for here."""


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """Which teams are read: named ids, one slug, or (neither) all that the key can see."""

    ids: Collection[int] = ()
    slug: str | None = None

    def of(self, teams: list[Team]) -> list[Team]:
        """The chosen ones. Raises ConfigurationError when a named team cannot be seen."""
        if not self.ids and self.slug is None:
            return teams
        chosen = [t for t in teams if t.id in self.ids or (self.slug is not None and t.slug == self.slug)]
        unseen = set(self.ids) - {t.id for t in chosen}
        problems = [f"CALCOM_TEAM_IDS names team {i}, which this key cannot see" for i in sorted(unseen)]
        if self.slug is not None and self.slug not in {t.slug for t in chosen}:
            problems.append(f"CALCOM_TEAM_SLUG names team {self.slug}, which this key cannot see")
        if problems:
            raise ConfigurationError(problems)
        return chosen


@dataclass(frozen=True, slots=True)
class EventTypesReport:
    """What one look found."""

    event_types: int
    owners: int
    changes: Changes


def pull_event_types(
    calcom: Source,
    mirror: EventTypeMirror,
    *,
    teams: TeamChoice,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> EventTypesReport:
    """Make the mirror equal to what Cal.com offers now; an unchanged event type touches no row.

    Raises:
        CalcomError: Cal.com could not be read; owners read before that stay stored.
        ConfigurationError: a named team cannot be seen with this key.
    """
    me = Owner("user", calcom.me().user_id)
    chosen = teams.of(calcom.teams())
    total, changes = 0, Changes()
    for done, team in enumerate([None, *chosen]):
        owner = me if team is None else Owner("team", team.id)
        read_at = now()
        found = calcom.list_personal() if team is None else calcom.list_team(team)
        changes += mirror.replace(owner, found, read_at=read_at)
        total += len(found)
        if progress:
            progress(done + 1, len(chosen) + 1, f"event types of {owner}")
    gone = mirror.keep_owners([me, *(Owner("team", t.id) for t in chosen)], read_at=now())
    return EventTypesReport(total, len(chosen) + 1, changes + Changes(gone=gone))


@dataclass(frozen=True, slots=True)
class Drift:
    """Event types that are not as the mirror, or the link of their service, has them.

    `digest` names the difference; empty when there is none.
    """

    owners: int
    event_type_ids: tuple[int, ...]
    digest: str


def look_for_drift(calcom: EventTypeApi, mirror: EventTypeMirror, links: Iterable[Link]) -> Drift:
    """Compare one listing per mirrored owner with the mirror and with links; costs a call each and writes nothing.

    With the mirror by content; with a link by what both sides last agreed on: an edit that comes between the plan and
    the mirror of one run is in the mirror already, though no service has heard of it.

    What is not compared: the zones of schedules, and owners of whom nothing is mirrored; the full read finds those.

    Raises:
        CalcomError: a listing could not be read.
    """
    mirrored = mirror.present()
    owners = sorted({e.owner for e in mirrored})
    was = {e.id: e.listing_hash for e in mirrored}
    listed = [e for owner in owners for e in calcom.list_owner(owner)]
    now = {e.id: e.listing_hash for e in listed}
    agreed = {link.event_type_id: link.base for link in links if link.state == "linked" and link.intent is None}
    unheard = {e.id for e in listed if agreed.get(e.id, {}).items() - remote_values(e).items()}
    differing = sorted(unheard | {i for i in was.keys() | now.keys() if was.get(i) != now.get(i)})
    digest = content_hash([[i, was.get(i), now.get(i)] for i in differing]) if differing else ""
    return Drift(len(owners), tuple(differing), digest)

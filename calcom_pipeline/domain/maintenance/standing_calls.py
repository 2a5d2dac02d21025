"""What schedules, sensors and warming ask of Cal.com by themselves, and how they come less often where it is too much.

People and the changes they make need the rest of the limit. What is looked at comes first; what is read in bulk (all
free times, the warm days) shares what is left, and is stretched before a look is.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from calcom_pipeline.domain.reasons import Reason

_MINUTE = 60.0
#: Looks may take half of what all may; it takes an account of dozens of teams, or a small limit, to need more.
_SHARE_OF_LOOKS = 0.5
#: Of what looks leave, all free times have this part; warming what they leave, up to its own share.
_SHARE_OF_SLOTS = 0.4
#: Besides a listing per owner: the account, its teams, its schedules.
_BEFORE_LISTING = 3
_SYNC_MINUTES, _SLOTS_MINUTES, _BOOKINGS_MINUTES, _SUBSCRIPTIONS_MINUTES, _REREAD_MINUTES = 15, 30, 5, 15, 60
_HEALTH_MINUTES = 10
#: A page of changes and the look that nothing came in between; its check looks, too.
_BOOKINGS_CALLS = 4
#: Services are planned, and planned again by the check.
_PLANNINGS = 2
#: Checks of the mirror and of the cache, beside the planning of theirs.
_HEALTH_CALLS = 2
#: Of 250 bookings each: nearly nobody has more around now.
_REREAD_CALLS = 10


@dataclass(frozen=True, slots=True)
class AccountSize:
    """What the mirror holds. `queries`: event types by their lengths, each of which is a call for its free times."""

    event_types: int = 0
    queries: int = 0
    owners: int = 1
    team_event_types: int = 0


@dataclass(frozen=True, slots=True)
class StandingRules:
    """`limit`: calls a minute; `share`: the part of them for all this, `warm_share` for warming; looks in seconds.

    `scopes`: webhook subscriptions looked at in one run, 0 where none are kept.
    """

    limit: float
    share: float
    warm_share: float
    warm_minutes: float
    booking_look: float
    event_type_look: float
    scopes: int


@dataclass(frozen=True, slots=True)
class StandingWork:
    """Something that comes by itself every `minutes`, stretched by `factor`, and costs `calls` each time."""

    name: str
    minutes: float
    calls: float
    factor: int = 1

    @property
    def per_minute(self) -> float:
        """Calls a minute."""
        return self.calls / (self.minutes * self.factor)

    def is_due(self, at: datetime) -> bool:
        """Whether it is this time's turn, of all the times at which it may come."""
        return int(at.timestamp() // (self.minutes * _MINUTE)) % self.factor == 0


@dataclass(frozen=True, slots=True)
class StandingCalls:
    """All of it. `warm_calls` is what one warming may promise."""

    works: tuple[StandingWork, ...]
    size: AccountSize
    rules: StandingRules
    warm_calls: int

    @property
    def per_minute(self) -> float:
        """Calls a minute, warming included."""
        return sum(work.per_minute for work in self.works) + self.warm_calls / self.rules.warm_minutes

    @property
    def stretched(self) -> tuple[StandingWork, ...]:
        """What comes less often than it would."""
        return tuple(work for work in self.works if work.factor > 1)

    def work(self, name: str) -> StandingWork:
        """The one of this name. Raises KeyError."""
        return {work.name: work for work in self.works}[name]

    def not_yet(self, name: str, at: datetime) -> Reason | None:
        """Why it does not come this time; None when it does."""
        work = self.work(name)
        return None if work.is_due(at) else self.why(work)

    def not_this(self, name: str, turn: int, apart: int) -> Reason | None:
        """The same of work that comes only every so many turns anyway: `turn` counts those at which it may come."""
        work = self.work(name)
        return self.why(work) if turn % math.ceil(work.factor / apart) else None

    def why(self, work: StandingWork) -> Reason:
        """Why it comes less often."""
        return Reason(
            "standing_stretched",
            work=work.name,
            minutes=f"{work.minutes * work.factor:g}",
            instead=f"{work.minutes:g}",
            event_types=self.size.event_types,
            owners=self.size.owners,
            share=f"{self.rules.share:.0%}",
            limit=f"{self.rules.limit:g}",
        )


def standing_calls(size: AccountSize, rules: StandingRules) -> StandingCalls:
    """What an account of this size costs, within its share of the limit."""
    reread = StandingWork("bookings reread", _REREAD_MINUTES, _REREAD_CALLS)  # few, and never stretched
    allowed = rules.limit * rules.share - reread.per_minute
    looks = _looks(size, rules)
    wanted = sum(work.per_minute for work in looks)
    looks = _stretched(looks, wanted / (allowed * _SHARE_OF_LOOKS))
    left = allowed - sum(work.per_minute for work in looks)
    slots = StandingWork("slots", _SLOTS_MINUTES, _listing(size) + size.queries)
    (slots,) = _stretched([slots], slots.per_minute / (left * _SHARE_OF_SLOTS))
    room = min(left - slots.per_minute, rules.limit * rules.warm_share)
    return StandingCalls((*looks, reread, slots), size, rules, int(room * rules.warm_minutes))


def _listing(size: AccountSize) -> int:
    return _BEFORE_LISTING + size.owners


def _looks(size: AccountSize, rules: StandingRules) -> list[StandingWork]:
    subscribed = min(rules.scopes, 1 + size.team_event_types) if rules.scopes else 0
    return [
        StandingWork("bookings look", rules.booking_look / _MINUTE, 1),
        StandingWork("event types look", rules.event_type_look / _MINUTE, size.owners),
        StandingWork("bookings", _BOOKINGS_MINUTES, _BOOKINGS_CALLS),
        StandingWork("services", _SYNC_MINUTES, _PLANNINGS * _listing(size)),
        StandingWork("subscriptions", _SUBSCRIPTIONS_MINUTES, subscribed),
        StandingWork("health", _HEALTH_MINUTES, _HEALTH_CALLS + _listing(size)),
    ]


def _stretched(works: list[StandingWork], by: float) -> list[StandingWork]:
    factor = max(1, math.ceil(by))
    return [StandingWork(work.name, work.minutes, work.calls, factor) for work in works]

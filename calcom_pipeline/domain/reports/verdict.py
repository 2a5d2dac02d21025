"""Is everything in sync? One sentence, and its colour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from calcom_pipeline.domain.services.remedies import NEEDING, STANDINGS, Standing

#: in_sync: nothing to do; working: the next runs do it; asking: somebody has to do something; unknown: nobody can tell.
Verdict = Literal["in_sync", "working", "asking", "unknown"]

#: The words for a standing, of one service and of several.
_PHRASES: Mapping[Standing, tuple[str, str]] = {
    "parked": ("is parked", "are parked"),
    "failed": ("failed", "failed"),
    "conflict": ("is in conflict", "are in conflict"),
    "refused": ("cannot be offered as it is", "cannot be offered as they are"),
    "held": ("waits for approval", "wait for approval"),
    "waiting": ("waits", "wait"),
    "pending": ("is about to be written", "are about to be written"),
    "in_sync": ("is in sync", "are in sync"),
}


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer. `as_of` is when Cal.com's event types were last read completely, UTC; None: never."""

    verdict: Verdict
    sentence: str
    as_of: datetime | None


def headline(
    counts: Mapping[Standing, int],
    *,
    as_of: datetime | None,
    now: datetime,
    stale: timedelta,
    writes: bool,
) -> Headline:
    """The answer to "is everything in sync?".

    `stale`: a mirror that was not read for so long says nothing about now. `writes`: changes are written unasked;
    else what is pending waits for somebody who applies it.
    """
    total = sum(counts.values())
    if as_of is None:
        return Headline("unknown", "Nobody can tell yet: Cal.com's event types have not been read.", None)
    if not total:
        return Headline("in_sync", "There is nothing to sync: no service is there.", as_of)
    open_ones = total - counts.get("in_sync", 0)
    if now - as_of > stale:
        then = "all services were in sync" if not open_ones else f"{open_ones} of {total} services were not in sync"
        sentence = f"Nobody can tell: Cal.com was last read {age(now - as_of)} ago, when {then}."
        return Headline("unknown", sentence, as_of)
    if not open_ones:
        all_of = "the one service is" if total == 1 else f"all {total:,} services are"
        return Headline("in_sync", f"In sync: {all_of} at Cal.com as here.", as_of)
    return _not_in_sync(counts, as_of, writes=writes)


def _not_in_sync(counts: Mapping[Standing, int], as_of: datetime, *, writes: bool) -> Headline:
    needing = [_phrase(one, counts[one], writes=writes) for one in STANDINGS if one in NEEDING and counts.get(one)]
    rest = [_phrase(one, counts[one], writes=writes) for one in ("waiting", "pending") if counts.get(one)]
    asks = bool(needing) or (not writes and counts.get("pending", 0) > 0)
    begin = "Not in sync" if asks else "Almost in sync"
    return Headline("asking" if asks else "working", f"{begin}: {_listed([*needing, *rest])}.", as_of)


def _phrase(standing: Standing, number: int, *, writes: bool) -> str:
    one, several = _PHRASES[standing]
    if standing == "pending" and not writes:
        one, several = "waits to be applied", "wait to be applied"
    return f"1 service {one}" if number == 1 else f"{number:,} services {several}"


def _listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`; the word stands once."""
    parts = [parts[0], *(part.replace(" services", "").replace(" service", "") for part in parts[1:])]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def age(length: timedelta) -> str:
    """A length of time as a person says it, rounded down: `40 seconds`, `3 hours`."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"

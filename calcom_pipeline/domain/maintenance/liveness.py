"""Whether the process that executes a run still lives: decided from what its lease says. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

#: A process renews its leases this often...
RENEW_SECONDS = 10.0
#: ...and one that has not done so for this long is suspected: six renewals were missed.
SILENT_SECONDS = 60.0
#: It gets this much more from the moment somebody suspects it: after an outage of PostgreSQL, or a sleep of the
#: machine, all leases are old at once, and whoever lives renews within RENEW_SECONDS.
SUSPECTED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lease. `gone`: it ran on this very machine, and is not there any more."""

    gone: bool
    suspected_seconds: float | None

    @property
    def is_dead(self) -> bool:
        """Whether it is proven gone, or was silent for so long that it is taken for gone."""
        return self.gone or (self.suspected_seconds is not None and self.suspected_seconds >= SUSPECTED_SECONDS)


def is_dead(holders: Iterable[Holder]) -> bool:
    """Whether a run has nobody left: all of its processes are dead, and there was at least one (or a stand-in)."""
    known = list(holders)
    return bool(known) and all(holder.is_dead for holder in known)


#: A run that is between two states, a start or a release, gets this long before an alert is sent: more than a
#: reaper takes to end the matter by itself.
_SETTLED_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class LoopProgress:
    """A run that has not ended. `silent_seconds`: since the last word of one that may live; None: of nobody."""

    run_id: str
    job: str
    status: str
    age_seconds: float
    """Since its state changed last."""
    holders: tuple[str, ...]
    silent_seconds: float | None

    @property
    def is_stuck(self) -> bool:
        """Whether no living process is known to work on it, for longer than starts and restarts take."""
        silent = self.silent_seconds is None or self.silent_seconds >= SILENT_SECONDS
        return silent and self.age_seconds >= _SETTLED_SECONDS


@dataclass(frozen=True, slots=True)
class SlotHolder:
    """A slot of a pool that is held by a step of a run, whose state is `status`; DELETED: the run is not there."""

    pool: str
    run_id: str
    step: str
    status: str
    age_seconds: float | None

    @property
    def is_left(self) -> bool:
        """Whether its run has ended, for longer than a release takes."""
        ended = self.status in ("SUCCESS", "FAILURE", "CANCELED", "DELETED")
        return ended and (self.age_seconds is None or self.age_seconds >= _SETTLED_SECONDS)

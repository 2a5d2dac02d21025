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

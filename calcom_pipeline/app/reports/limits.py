"""Whether requests to Cal.com pass: the shared limiter, the circuits, what was refused lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.reports.call_ports import CallTotals, CallTotalsStore, CircuitLook, LimiterLook
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.domain.reasons import NO_REASON, Reason

#: How far back calls are counted.
LOOK_BACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LimiterNow:
    """`left`: requests that may still be sent in this window. `unread` says why Redis was not asked."""

    calls: CallTotals
    left: int = 0
    spendable: int = 0
    others: int = 0
    waiting: int = 0
    paused_seconds: float = 0.0
    open_circuits: tuple[str, ...] = ()
    unread: Reason = NO_REASON

    @property
    def problems(self) -> list[str]:
        """Sentences; none when requests pass."""
        found: list[str] = []
        if self.unread:
            found.append(f"Redis cannot be asked, so every process paces itself ({self.unread})")
        if self.paused_seconds:
            found.append(f"Cal.com blocks the key for another {self.paused_seconds:.0f} s; nothing is sent meanwhile")
        if self.open_circuits:
            found.append(f"Cal.com failed too often at {', '.join(self.open_circuits)}; that is left alone for a while")
        if self.calls.refused:
            refused = f"Cal.com refused {self.calls.refused} of {self.calls.sent} requests of the last hour (429)"
            found.append(f"{refused}: somebody else uses the same API key, or its limit is lower than ours is set")
        return found


def limiter_now(
    limiter: LimiterLook, breaker: CircuitLook, records: CallTotalsStore, *, groups: Sequence[str], now: datetime
) -> LimiterNow:
    """Look, and ask Cal.com nothing.

    Raises:
        StoreError: PostgreSQL cannot be asked.
    """
    calls = records.call_totals(since=now - LOOK_BACK)
    try:
        view, circuits = limiter.view(), breaker.states(list(groups))
    except CacheError as error:
        return LimiterNow(calls, unread=Reason.of(error))
    return LimiterNow(
        calls=calls,
        left=max(0, view.spendable - view.used - view.others),
        spendable=view.spendable,
        others=view.others,
        waiting=sum(view.waiting.values()),
        paused_seconds=view.paused_seconds,
        open_circuits=tuple(group for group, state in circuits.items() if state != "closed"),
    )

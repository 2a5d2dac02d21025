"""When a call is sent again: full jitter, growing distances, a number of attempts and a deadline.

A 429 did nothing, whatever the call was: it is sent again as soon as the limiter, which has learned from it, grants a
turn; that costs no attempt. Reads, and writes that state an absolute value, are sent again after a lost or a garbled
answer and after 502, 503, 504. A create is sent again only if its request never left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import backoff

from calcom_pipeline.adapters.calcom.transport.messages import Call
from calcom_pipeline.domain.errors import CalcomError, CircuitOpen, ContractBroken, RateLimited, TransientError

T = TypeVar("T")

_REDIRECT = 300
_GATEWAY_STATUSES = frozenset({408, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPatience:
    """Numbers of retrying; see the settings `retry_*`. Pauses are drawn between 0 and a bound that doubles."""

    deadline_seconds: float
    attempts: int
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0


class Retries:
    """Sends calls until they succeed, cannot succeed, or time is up."""

    def __init__(
        self,
        patience: RetryPatience,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float], float] = backoff.full_jitter,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    def run(self, call: Call, attempt: Callable[[int, float], T]) -> T:
        """The result of the first attempt that succeeds; `attempt` gets its number and the deadline.

        Raises:
            CalcomError: of the last attempt that was made: where the breaker lets no other follow, its cause is raised.
        """
        patience = self._patience
        allowed = patience.deadline_seconds if call.deadline_seconds is None else call.deadline_seconds
        deadline = self._clock() + allowed
        bounds = backoff.expo(factor=patience.first_pause_seconds, max_value=patience.longest_pause_seconds)
        next(bounds)  # the generator's first value is none
        number = 1
        failure: CalcomError | None = None
        while True:
            try:
                return attempt(number, deadline)
            except CircuitOpen:
                if failure is None:
                    raise
                raise failure from None
            except RateLimited as error:
                if error.status is None:  # the limiter refuses: no turn before the deadline
                    raise
            except CalcomError as error:
                pause = self._jitter(next(bounds))
                if not may_repeat(call, error) or number >= patience.attempts or self._clock() + pause > deadline:
                    raise
                self._sleep(pause)
                failure = error
                number += 1


def may_repeat(call: Call, error: CalcomError) -> bool:
    """Whether the same request may be sent again after this error."""
    if isinstance(error, CircuitOpen):
        return False
    if call.kind == "create":
        return isinstance(error, TransientError) and error.status is None and not error.exchange.in_doubt
    if isinstance(error, ContractBroken):
        # A success that is not even JSON: a proxy's page, or half of one. Other broken contracts stay broken.
        return error.status is not None and error.status < _REDIRECT
    return isinstance(error, TransientError) and (error.status is None or error.status in _GATEWAY_STATUSES)

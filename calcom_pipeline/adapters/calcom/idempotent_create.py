"""Exactly once, in spite of doubt: a create is never repeated blindly.

Cal.com knows no idempotency keys. A create may fail after it worked (fact sheet 4.1), its answer may be lost, a third
party's webhook receiver may hold it up past any time-out. After such a doubt we look for what it would have made, again
and again until a grace time is over; then what was found is ours, or the create is sent again. A second one that is
refused as a conflict shows that the first had worked after all, so we look once more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from calcom_pipeline.domain.errors import (
    CalcomError,
    CircuitOpen,
    Conflict,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unauthorized,
)

T = TypeVar("T")

#: After a doubt: look and create again; look, but never create again; leave it to the next sync at once.
AfterDoubt = Literal["repeat", "look", "leave"]


@dataclass(frozen=True, slots=True)
class GraceRules:
    """Seconds of looking after a doubt, the first distance between two looks (it doubles), creates in all.

    When the grace is over, a look has to work before anything is decided. While Cal.com cannot be asked (an open
    circuit, a block of the key, both 60 s) it is waited for, `patience_seconds` at most.
    """

    grace_seconds: float = 30.0
    patience_seconds: float = 120.0
    first_look_seconds: float = 0.5
    longest_look_seconds: float = 8.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a create came to. `adopted`: found by looking, not in the answer."""

    value: T
    adopted: bool


class ExactlyOnce(Generic[T]):
    """One create and the way to find what it made. `key` names it in `OutcomeUnknown`."""

    def __init__(
        self,
        create: Callable[[], T],
        look: Callable[[], T | None],
        *,
        key: str,
        rules: GraceRules,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        after_doubt: Callable[[], AfterDoubt] = lambda: "repeat",
    ) -> None:
        self._create = create
        self._look = look
        self._key = key
        self._rules = rules
        self._sleep = sleep
        self._clock = clock
        self._after_doubt = after_doubt

    def run(self) -> Made[T]:
        """Create, look, adopt or create again.

        Raises:
            OutcomeUnknown: looking was impossible, repeating is not allowed or was not possible, or every attempt ended
                in doubt.
            CalcomError: the create was refused, or never sent, and no attempt before it is in doubt.
        """
        doubt: CalcomError | None = None
        for _ in range(self._rules.attempts):
            try:
                return Made(self._create(), adopted=False)
            except CalcomError as error:
                if not error.exchange.in_doubt:
                    return self._refused(error, doubt)
                doubt = error
            what_next = self._after_doubt()
            found = None if what_next == "leave" else self._look_until_the_grace_is_over(doubt)
            if found is not None:
                return Made(found, adopted=True)
            if what_next != "repeat":
                break
        raise self._unknown(doubt)

    def _refused(self, error: CalcomError, doubt: CalcomError | None) -> Made[T]:
        """Nothing was done by this attempt. An earlier one may be the reason for the refusal."""
        if doubt is None:
            raise error
        if isinstance(error, Unauthorized) or not isinstance(error, Conflict | Rejected):
            raise self._unknown(doubt) from error
        found = self._looked(doubt)
        if found is None:
            raise self._unknown(doubt) from error
        return Made(found, adopted=True)

    def _look_until_the_grace_is_over(self, doubt: CalcomError) -> T | None:
        over = self._clock() + self._rules.grace_seconds
        pause = self._rules.first_look_seconds
        while (left := over - self._clock()) > 0:
            found, wait = self._tried()
            if found is not None:
                return found
            self._sleep(min(max(pause, wait or 0.0), left))
            pause = min(2 * pause, self._rules.longest_look_seconds)
        return self._looked(doubt)

    def _looked(self, doubt: CalcomError) -> T | None:
        """A look that works."""
        end = self._clock() + self._rules.patience_seconds
        while True:
            found, wait = self._tried()
            if wait is None:
                return found
            pause = max(wait, self._rules.first_look_seconds)
            if self._clock() + pause > end:
                raise self._unknown(doubt)
            self._sleep(pause)

    def _tried(self) -> tuple[T | None, float | None]:
        """What a look found, and None; or nothing, and the seconds until looking may be possible."""
        try:
            return self._look(), None
        except Conflict:
            raise  # looking has decided it: somebody else was first
        except (CircuitOpen, RateLimited) as error:
            return None, error.retry_after
        except CalcomError:
            return None, self._rules.longest_look_seconds

    def _unknown(self, doubt: CalcomError | None) -> OutcomeUnknown:
        exchange = doubt.exchange if doubt else None
        operation = exchange.operation if exchange else "Creating"
        return OutcomeUnknown(f"{operation}: nobody can say yet whether it was done", key=self._key, exchange=exchange)

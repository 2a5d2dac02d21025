"""The circuit breaker of an endpoint group, shared by all processes, on Redis's clock.

Closed it lets everything pass; after some failures in a row it opens for a while; then it is half open: one request at
a time may try, and after some successes in a row it closes. Whoever tries holds the probe for no longer than its own
time-out, so a killed process leaves nothing behind. While Redis is away nothing is refused: the limiter's own fallback
is slow enough to do no harm.
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.app.limits import Passage, Verdict
from calcom_pipeline.domain.errors import CacheError, CircuitOpen

CircuitState = Literal["closed", "open", "half open"]
_STATES: tuple[CircuitState, ...] = ("closed", "open", "half open")
# A circuit nobody used for this long past its opening starts closed again.
_KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When it opens and closes; see the settings `breaker_*`."""

    failures: int
    open_seconds: float
    successes: int


class RedisBreaker:
    """The circuits of all endpoint groups of one API key."""

    def __init__(self, client: Client, *, key_name: str, rules: BreakerRules) -> None:
        self._client = client
        self._prefix = f"calcom:v1:{{limit-{key_name}}}:circuit:"
        self._rules = rules
        self._script = client.register_script(script("breaker"))

    def refuse_when_open(self, group: str) -> None:
        """A look before anything is waited for.

        Raises:
            CircuitOpen: too many failures in a row, or somebody else is trying right now.
        """
        self._let_through("look", group, "", 0.0)

    def enter(self, group: str, *, longest_seconds: float) -> Passage | None:
        """Let one request through, last of all before it is sent; None while Redis is away.

        Half open this takes the probe, for `longest_seconds` at most.

        Raises:
            CircuitOpen: it opened meanwhile, or somebody else is trying right now.
        """
        passage = f"p-{uuid.uuid4().hex}"
        epoch = self._let_through("enter", group, passage, longest_seconds)
        return None if epoch is None else Passage(group, passage, epoch)

    def report(self, passage: Passage | None, outcome: Verdict) -> None:
        """What came of it. `unclear` says nothing of the service: a 429, a create that timed out."""
        if passage is not None:
            with suppress(CacheError):  # said by the limiter, which asks before every request
                self._run("report", passage.group, passage.id, outcome=outcome, epoch=passage.epoch)

    def states(self, groups: list[str]) -> dict[str, CircuitState]:
        """How the circuits stand. Raises CacheError when Redis is away."""
        return {group: _STATES[self._run("look", group, "")[3]] for group in groups}

    # --- inside ------------------------------------------------------------------------------------------

    def _let_through(self, verb: str, group: str, passage: str, lease_seconds: float) -> int | None:
        try:
            refused, wait_ms, epoch, _ = self._run(verb, group, passage, lease_seconds=lease_seconds)
        except CacheError:
            return None  # said by the limiter, which asks before every request
        if refused:
            raise CircuitOpen(f"Cal.com failed too often at {group}; nothing is sent", retry_after=wait_ms / 1000)
        return epoch

    def _run(
        self,
        verb: str,
        group: str,
        passage: str,
        *,
        lease_seconds: float = 0.0,
        outcome: Verdict = "unclear",
        epoch: int = 0,
    ) -> list[int]:
        rules = self._rules
        ttl_seconds = rules.open_seconds + lease_seconds + _KEPT_SECONDS
        arguments: list[Any] = [verb, passage, rules.failures, _ms(rules.open_seconds), rules.successes]
        arguments += [_ms(lease_seconds), _ms(ttl_seconds), outcome, epoch]
        with redis_failures("Asking the circuit breaker"):
            return cast("list[int]", self._script(keys=[self._prefix + group], args=arguments))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

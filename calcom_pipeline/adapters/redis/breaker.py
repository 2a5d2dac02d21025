"""The circuit breaker of an endpoint group, shared by all processes, on Redis's clock.

Closed it lets everything pass; after some failures in a row it opens for a while; then it is half open: one request at
a time may try, and after some successes in a row it closes. Whoever tries holds the probe for no longer than its own
time-out, so a killed process leaves nothing behind. While Redis is away nothing is refused: the limiter's own fallback
is slow enough to do no harm.
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.adapters.redis.together import ScriptCall
from calcom_pipeline.app.limits import Errand, Passage, Verdict
from calcom_pipeline.domain.errors import CacheError, CircuitOpen

CircuitState = Literal["closed", "open", "half open"]
_STATES: tuple[CircuitState, ...] = ("closed", "open", "half open")
# A circuit nobody used for this long past its opening starts closed again.
_KEPT_SECONDS = 600.0
_ASKING = "Asking the circuit breaker"


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
        # Groups whose circuit was closed when it was last seen: a look can wait until a turn is asked for.
        self._closed: set[str] = set()

    def refuse_when_open(self, group: str) -> None:
        """A look before anything is waited for.

        Raises:
            CircuitOpen: too many failures in a row, or somebody else is trying right now.
        """
        self._let_through("look", group, "", 0.0)

    def looking(self, group: str) -> ScriptCall | None:
        """The errand to look, where the circuit was closed when last seen; else it is looked at now: None.

        Raises what `refuse_when_open` does.
        """
        if group in self._closed:
            return self._call("look", group, "")
        self.refuse_when_open(group)
        return None

    def enter(self, group: str, *, longest_seconds: float, looked: Errand | None = None) -> Passage | None:
        """Let one request through, last of all before it is sent; None while Redis is away.

        What was `looked` when the turn was granted is enough where the circuit is closed. Half open this takes the
        probe, for `longest_seconds` at most.

        Raises:
            CircuitOpen: it opened meanwhile, or somebody else is trying right now.
        """
        passage = f"p-{uuid.uuid4().hex}"
        if looked is not None and looked.answer is not None:
            epoch = self._passed(group, looked.answer)
            if group in self._closed:
                return Passage(group, passage, epoch)
        epoch = self._let_through("enter", group, passage, longest_seconds)
        return None if epoch is None else Passage(group, passage, epoch)

    def report(self, passage: Passage | None, outcome: Verdict) -> None:
        """What came of it. `unclear` says nothing of the service: a 429, a create that timed out."""
        if (errand := self.reporting(passage, outcome)) is not None:
            with suppress(CacheError), redis_failures(_ASKING):  # said by the limiter, which asks before every request
                errand.run()

    def reporting(self, passage: Passage | None, outcome: Verdict) -> ScriptCall | None:
        """The errand to report it."""
        if passage is None:
            return None
        return self._call("report", passage.group, passage.id, outcome=outcome, epoch=passage.epoch)

    def states(self, groups: list[str]) -> dict[str, CircuitState]:
        """How the circuits stand. Raises CacheError when Redis is away."""
        return {group: _STATES[self._run("look", group, "")[3]] for group in groups}

    # --- inside ------------------------------------------------------------------------------------------

    def _let_through(self, verb: str, group: str, passage: str, lease_seconds: float) -> int | None:
        try:
            answer = self._run(verb, group, passage, lease_seconds=lease_seconds)
        except CacheError:
            return None  # said by the limiter, which asks before every request
        return self._passed(group, answer)

    def _passed(self, group: str, answer: list[int]) -> int:
        """The epoch of the circuit that an answer shows. Raises CircuitOpen where it refuses."""
        refused, wait_ms, epoch, state = answer
        if _STATES[state] == "closed":
            self._closed.add(group)
        else:
            self._closed.discard(group)
        if refused:
            raise CircuitOpen(f"Cal.com failed too often at {group}; nothing is sent", retry_after=wait_ms / 1000)
        return epoch

    def _run(self, verb: str, group: str, passage: str, *, lease_seconds: float = 0.0) -> list[int]:
        call = self._call(verb, group, passage, lease_seconds=lease_seconds)
        with redis_failures(_ASKING):
            call.run()
        return call.answer

    def _call(
        self,
        verb: str,
        group: str,
        passage: str,
        *,
        lease_seconds: float = 0.0,
        outcome: Verdict = "unclear",
        epoch: int = 0,
    ) -> ScriptCall:
        rules = self._rules
        ttl_seconds = rules.open_seconds + lease_seconds + _KEPT_SECONDS
        arguments: list[Any] = [verb, passage, rules.failures, _ms(rules.open_seconds), rules.successes]
        arguments += [_ms(lease_seconds), _ms(ttl_seconds), outcome, epoch]
        return ScriptCall(self._script, [self._prefix + group], arguments)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

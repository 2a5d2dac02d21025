"""Who asks, and whether they have a request left."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.redaction import know_secrets
from calcom_pipeline.web.ports import TakesRequests
from calcom_pipeline.web.problems import NO_TOKEN, TOO_MANY, ProblemError

#: Who asks where no tokens are set.
ANYBODY = "anybody"
_MINUTE = 60.0
#: A process takes half a second's requests at once, so that hardly any waits for Redis; what it has not used after a
#: few seconds is lost to the token.
_SECONDS_AT_ONCE = 0.5
_LEASE_SECONDS = 5.0


class Callers:
    """Bearer tokens by name, and how much each has left: a minute's requests at once, refilled evenly.

    `per_minute` is what a token has in all processes together, `share` what this one may let in by itself while they
    cannot be counted together.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        *,
        per_minute: float,
        share: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        know_secrets(tokens.values())
        self._digests = [(name, _digest(token)) for name, token in tokens.items()]
        self._per_minute = per_minute
        self._own = _OwnBuckets(per_minute if share is None else share, clock)
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        #: Counts for all processes, while a server runs.
        self.budget: TakesRequests | None = None

    async def admit(self, authorization: str | None) -> str:
        """The name of who asks; one of their requests is spent.

        Raises:
            ProblemError: the token is missing or wrong, or has no request left.
        """
        return await self.spend(self._name_of(authorization))

    async def spend(self, name: str) -> str:
        """Spend one of the requests of somebody who is known; their name.

        Raises:
            ProblemError: there is no request left.
        """
        budget = self.budget
        if budget is None:
            self._own.spend(name)
            return name
        lease = self._leases.setdefault(name, _Lease())
        while not lease.spend(self._clock()):
            lease.waiting += 1
            try:
                await self._filled(name, lease, budget)
            except PipelineError:
                self._own.spend(name)
                return name
            finally:
                lease.waiting -= 1
            if not lease.left:
                raise ProblemError(TOO_MANY, retry_after=lease.retry_seconds)
        return name

    async def _filled(self, name: str, lease: "_Lease", budget: TakesRequests) -> None:
        """Take more, once for all who wait for it. Raises what the budget does."""
        if lease.filling is None:
            lease.filling = asyncio.ensure_future(self._fill(name, lease, budget))
        # Whoever goes away leaves the others their answer.
        await asyncio.shield(lease.filling)

    async def _fill(self, name: str, lease: "_Lease", budget: TakesRequests) -> None:
        try:
            await asyncio.sleep(0)  # whoever asks by the same turn of the loop is counted
            wanted = max(lease.waiting, int(self._per_minute / _MINUTE * _SECONDS_AT_ONCE))
            granted, lease.retry_seconds = await budget.take(name, wanted, per_minute=self._per_minute)
            lease.left, lease.ends = granted, self._clock() + _LEASE_SECONDS
        finally:
            lease.filling = None

    def _name_of(self, authorization: str | None) -> str:
        if not self._digests:
            return ANYBODY
        scheme, _, token = (authorization or "").partition(" ")
        found = self.holder_of(token)
        if not found or scheme.lower() != "bearer":
            raise ProblemError(NO_TOKEN)
        return found

    @property
    def are_named(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._digests)

    def holder_of(self, token: str) -> str:
        """Whose token it is; empty if it is nobody's."""
        given, found = _digest(token.strip()), ""
        for name, digest in self._digests:  # all of them, so that time tells nothing
            if hmac.compare_digest(given, digest):
                found = name
        return found


@dataclass(slots=True)
class _Lease:
    """Requests of a token that this process may let in."""

    left: int = 0
    ends: float = 0.0
    retry_seconds: float = 0.0
    waiting: int = 0
    filling: "asyncio.Future[None] | None" = None

    def spend(self, now: float) -> bool:
        if now >= self.ends:
            self.left = 0
        if not self.left:
            return False
        self.left -= 1
        return True


class _OwnBuckets:
    """The same, counted by this process alone."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._most = max(1.0, per_minute)
        self._per_second = per_minute / _MINUTE
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, name: str) -> None:
        """One request. Raises ProblemError."""
        now = self._clock()
        left, at = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        if left < 1.0:
            self._left[name] = (left, now)
            raise ProblemError(TOO_MANY, retry_after=(1.0 - left) / self._per_second)
        self._left[name] = (left - 1.0, now)


def _digest(token: str) -> bytes:
    """Of one length, whatever the token's."""
    return hashlib.sha256(token.encode()).digest()

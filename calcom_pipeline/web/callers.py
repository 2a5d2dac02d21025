"""Who asks, and whether they have a request left."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from calcom_pipeline.domain.redaction import know_secrets
from calcom_pipeline.web.problems import NO_TOKEN, TOO_MANY, ProblemError

#: Who asks where no tokens are set.
ANYBODY = "anybody"
_MINUTE = 60.0


class Callers:
    """Bearer tokens by name, and how much each has left: a minute's requests at once, refilled evenly.

    Counted in this process alone: no request waits for a server before it is refused.
    """

    def __init__(
        self, tokens: Mapping[str, str], *, per_minute: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        know_secrets(tokens.values())
        self._digests = [(name, _digest(token)) for name, token in tokens.items()]
        self._most = max(1.0, per_minute)
        self._per_second = per_minute / _MINUTE
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def admit(self, authorization: str | None) -> str:
        """The name of who asks; one of their requests is spent.

        Raises:
            ProblemError: the token is missing or wrong, or has no request left.
        """
        return self.spend(self._name_of(authorization))

    def spend(self, name: str) -> str:
        """Spend one of the requests of somebody who is known; their name.

        Raises:
            ProblemError: there is no request left.
        """
        now = self._clock()
        left, at = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        if left < 1.0:
            self._left[name] = (left, now)
            raise ProblemError(TOO_MANY, retry_after=(1.0 - left) / self._per_second)
        self._left[name] = (left - 1.0, now)
        return name

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


def _digest(token: str) -> bytes:
    """Of one length, whatever the token's."""
    return hashlib.sha256(token.encode()).digest()

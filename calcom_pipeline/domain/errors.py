"""Every error that our code raises on purpose, named by what the caller may do about it.

    PipelineError                   a sentence for a person, and what to do about it
    ├── ConfigurationError          a setting is wrong or missing; nothing was started
    ├── InvalidInput                what was asked for cannot be asked for; nothing was sent
    ├── AnotherApply                another apply of this account is running
    ├── PlanUnusable                the plan is unknown, expired or applied already
    ├── StoreError                  PostgreSQL cannot do what was asked
    │   ├── SchemaOutdated          the schema is not the one this release needs
    │   ├── StoreConflict           another transaction was faster; nothing was stored, the same may work now
    │   └── StoreTimeout            it did not answer in time, or a lock was not free in time
    ├── CacheError                  Redis cannot do what was asked
    └── CalcomError                 Cal.com, or the way to it; carries status, operation, request id, body
        ├── TransientError          the same call may work later
        │   ├── RateLimited         ... after `retry_after` seconds
        │   └── CircuitOpen         ... after `retry_after` seconds; nothing was sent
        ├── PermanentError          the same call will fail again
        │   ├── Rejected            Cal.com refuses the request itself
        │   │   └── Unauthorized    ... because of the key
        │   ├── NotFound            gone, never there, or not to be seen with this key
        │   ├── Conflict            something else holds the slug, the slot or the address
        │   ├── ContractBroken      the answer is not what the API promises; nothing of it was used
        │   └── CertificateRefused  whoever answers cannot show that he is Cal.com; nothing was sent
        └── OutcomeUnknown          a create that may or may not have happened; never repeat it blindly

No error carries a secret or an attendee's address: `body` is redacted before it gets here, and a configured secret is
taken out of every sentence.
"""

import math
from dataclasses import dataclass

from calcom_pipeline.domain.redaction import without_secrets


class PipelineError(Exception):
    """The root. `str(error)` is one sentence; `advice` says what to do, or is empty."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(without_secrets(message))
        self.advice = without_secrets(advice)


class ConfigurationError(PipelineError):
    """A setting is wrong, missing or unknown. `problems` lists all of them, none with a secret."""

    def __init__(self, problems: list[str], *, advice: str = "") -> None:
        super().__init__("; ".join(problems), advice=advice)
        self.problems = [without_secrets(problem) for problem in problems]


class InvalidInput(PipelineError):  # noqa: N818 - names what the caller gave
    """What was asked for is wrong in itself. `problems` lists all of it at once; nothing was sent."""

    def __init__(self, problems: list[str], *, advice: str = "") -> None:
        super().__init__("; ".join(problems), advice=advice)
        self.problems = [without_secrets(problem) for problem in problems]


class AnotherApply(PipelineError):  # noqa: N818 - says what is in the way
    """Another apply of this account is running; plans are applied one after the other."""


class PlanUnusable(PipelineError):  # noqa: N818 - says what the plan is
    """A plan that is unknown, expired, already applied, or not the one that was reviewed."""


class StoreError(PipelineError):
    """PostgreSQL is away, full, or refuses."""


class SchemaOutdated(StoreError):  # noqa: N818 - read as a state, like the others below
    """The schema of the database is older or newer than this release."""


class StoreConflict(StoreError):  # noqa: N818 - names what happened
    """Another transaction was faster, or waited for this one as this one did for it: nothing was stored."""


class StoreTimeout(StoreError):  # noqa: N818 - names what happened
    """PostgreSQL did not answer in time, or somebody else's lock was not free in time."""


class CacheError(PipelineError):
    """Redis is away or refuses."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is known of the request an error speaks of; all of it fit for a log.

    `in_doubt` says that it was a write which may have been carried out although no usable answer came.
    """

    operation: str = ""
    status: int | None = None
    request_id: str | None = None
    body: str = ""
    in_doubt: bool = False


class CalcomError(PipelineError):
    """Cal.com, or the way to it, is the reason."""

    def __init__(self, message: str, *, exchange: Exchange | None = None, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.exchange = exchange or Exchange()

    @property
    def status(self) -> int | None:
        """The HTTP status, or None when no answer came."""
        return self.exchange.status


class TransientError(CalcomError):
    """The same call may work later: no answer, a time-out, a 5xx."""


def _try_again_in(seconds: float) -> str:
    """Whole seconds, rounded up: nobody is told to try again in no time."""
    return f"Try again in {max(1, math.ceil(seconds))} s."


class WaitedTooLong(TransientError):  # noqa: N818 - says what happened
    """What somebody else asks for just now was not answered in time."""


class RateLimited(TransientError):  # noqa: N818 - names a state the caller waits out
    """The budget is spent. Ask again in `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float, exchange: Exchange | None = None) -> None:
        super().__init__(message, exchange=exchange, advice=_try_again_in(retry_after))
        self.retry_after = retry_after


class CircuitOpen(TransientError):  # noqa: N818 - names a state the caller waits out
    """Too many failures in a row: nothing is sent for `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float, exchange: Exchange | None = None) -> None:
        super().__init__(message, exchange=exchange, advice=_try_again_in(retry_after))
        self.retry_after = retry_after


class PermanentError(CalcomError):
    """The same call will fail again."""


class Rejected(PermanentError):  # noqa: N818 - names what Cal.com did
    """Cal.com refuses the request itself; the body says why."""


class Unauthorized(Rejected):
    """The key is unknown, expired, or may not do this."""


class NotFound(PermanentError):  # noqa: N818 - names what Cal.com said
    """Gone, never there, or not to be seen with this key: Cal.com answers 404 for all three (capture 07h)."""


class Conflict(PermanentError):  # noqa: N818 - names what Cal.com said
    """Something else holds the slug, the slot or the subscriber address."""


class ContractBroken(PermanentError):  # noqa: N818 - names what happened to the contract
    """The answer is not what the API promises, so nothing of it was used."""


class CertificateRefused(PermanentError):  # noqa: N818 - names what we did
    """The certificate of the server is not trusted, has expired or is another's. Nothing was sent, the key neither."""


class OutcomeUnknown(CalcomError):  # noqa: N818 - names what the caller is left with
    """A create that may or may not have happened. `key` finds it again; the next sync closes it."""

    def __init__(self, message: str, *, key: str, exchange: Exchange | None = None) -> None:
        super().__init__(message, exchange=exchange)
        self.key = key

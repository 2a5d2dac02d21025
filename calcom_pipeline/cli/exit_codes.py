"""The one table of exit codes; it is printed by `calcom-pipeline --help` and stands in the README."""

from calcom_pipeline.domain.errors import (
    AnotherApply,
    CacheError,
    CalcomError,
    ConfigurationError,
    ContractBroken,
    InvalidInput,
    PipelineError,
    PlanUnusable,
    RateLimited,
    StoreError,
    TransientError,
    Unauthorized,
)

OK, UNEXPECTED, USAGE, CONFIGURATION, UNAUTHORIZED, UNREACHABLE, LIMITED = range(7)
REFUSED, DATABASE, REDIS, EMBEDDED, PARTIAL, UNHEALTHY, BUSY = range(7, 14)
INTERRUPTED = 130
#: What a shell reports for a program that was ended by SIGPIPE.
NOBODY_READS = 141

#: With this option of `plan` the codes are those that users of Terraform know, whatever the table says of 1 and 2.
DETAILED = "--detailed-exitcode"
CHANGES, FAILED = 2, 1

MEANING = {
    OK: "done",
    UNEXPECTED: "a bug",
    USAGE: "wrong use of a command",
    CONFIGURATION: "a setting is wrong",
    UNAUTHORIZED: "Cal.com refuses the key",
    UNREACHABLE: "Cal.com is away, try again",
    LIMITED: "rate limit, try again later",
    REFUSED: "Cal.com refuses or answers something else than it promises",
    DATABASE: "PostgreSQL",
    REDIS: "Redis",
    EMBEDDED: "the embedded servers or Dagster did not start",
    PARTIAL: "done in part, see the output",
    UNHEALTHY: "doctor or a check found a problem",
    BUSY: "another apply is running, try again",
    INTERRUPTED: "interrupted",
    NOBODY_READS: "whoever read the output has left",
}

_BY_KIND: tuple[tuple[type[PipelineError], int], ...] = (
    (ConfigurationError, CONFIGURATION),
    (InvalidInput, USAGE),
    (PlanUnusable, USAGE),
    (AnotherApply, BUSY),
    (Unauthorized, UNAUTHORIZED),
    (RateLimited, LIMITED),
    (TransientError, UNREACHABLE),
    (ContractBroken, REFUSED),
    (CalcomError, REFUSED),
    (StoreError, DATABASE),
    (CacheError, REDIS),
)


def of(error: PipelineError) -> int:
    """The exit code of an error; what is none of the known kinds comes from the embedded servers or from Dagster."""
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), EMBEDDED)


def detailed(code: int) -> int:
    """A code of the table as --detailed-exitcode reports it: every failure is 1, so that 2 always means changes."""
    return code if code in (OK, INTERRUPTED, NOBODY_READS) else FAILED

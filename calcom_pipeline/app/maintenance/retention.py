"""Keep the lifetimes of our own records: what is older is deleted, piece by piece, unless something still needs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.maintenance.ports import Records
from calcom_pipeline.domain.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long records of one kind are kept after they have ended."""

    records: Records
    keep: timedelta


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What came of one kind: how many records were deleted, and why not more, if it failed."""

    kind: str
    days: int
    records: int
    error: str = ""


def keep_lifetimes(
    lifetimes: Sequence[Lifetime], *, now: datetime, batch: int, on_done: Callable[[Forgotten], None] | None = None
) -> list[Forgotten]:
    """Delete what is past its lifetime, `batch` records at a time. A kind that fails does not stop the others.

    `on_done` is called with each kind when it is done. Running it twice at once, or again after a kill, does no harm.
    """
    found: list[Forgotten] = []
    for lifetime in lifetimes:
        found.append(_kept(lifetime, now - lifetime.keep, batch))
        if on_done is not None:
            on_done(found[-1])
    return found


def _kept(lifetime: Lifetime, before: datetime, batch: int) -> Forgotten:
    records, number, error = lifetime.records, 0, ""
    try:
        while forgotten := records.forget(before=before, limit=batch):
            number += forgotten
    except PipelineError as failed:
        error = str(failed)
    return Forgotten(records.kind, lifetime.keep.days, number, error)

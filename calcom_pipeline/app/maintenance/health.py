"""Examine the running world: each look answers a sentence or fails with a reason; none stops the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from calcom_pipeline.domain.errors import PipelineError

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's table."""

    check: str
    verdict: Verdict
    finding: str


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing to look at. `look` answers a sentence; one that starts with "note: " is not quite as it should be."""

    check: str
    look: Callable[[], str]


def examine(examinations: Sequence[Examination]) -> list[Finding]:
    """Look at everything, in order."""
    return [_examined(examination) for examination in examinations]


def _examined(examination: Examination) -> Finding:
    try:
        outcome = examination.look()
    except PipelineError as error:
        return Finding(examination.check, "problem", f"{error}. {error.advice}".strip())
    if outcome.startswith("note: "):
        return Finding(examination.check, "note", outcome.removeprefix("note: "))
    return Finding(examination.check, "ok", outcome)

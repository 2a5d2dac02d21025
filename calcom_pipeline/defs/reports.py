"""The reports of use cases, handed as values to whoever runs the steps in this process; Dagster's UI gets labels."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from calcom_pipeline.app.calls import Spent

_T = TypeVar("_T")


@dataclass(slots=True)
class StepReports:
    """What the steps handed over, in their order: a report each, and what it spent on Cal.com."""

    reports: list[object] = field(default_factory=list[object])
    spent: list[Spent] = field(default_factory=list[Spent])

    def of(self, kind: type[_T]) -> _T | None:
        """The last report of a kind; None where no such step got to its end."""
        return next((report for report in reversed(self.reports) if isinstance(report, kind)), None)

    @property
    def calls(self) -> int:
        """Requests sent to Cal.com, by all steps."""
        return sum(each.calls for each in self.spent)

    @property
    def refused(self) -> int:
        """Requests that Cal.com answered with 429."""
        return sum(each.refused for each in self.spent)


_receiver: ContextVar[StepReports | None] = ContextVar("calcom_step_reports", default=None)


@contextmanager
def receiving() -> Generator[StepReports]:
    """Collect the reports of steps that run in this thread during the block."""
    received = StepReports()
    token = _receiver.set(received)
    try:
        yield received
    finally:
        _receiver.reset(token)


def hand_over(report: object, spent: Spent) -> None:
    """Give a step's report to whoever receives; nothing happens in a run that nobody in this process waits for."""
    if received := _receiver.get():
        received.reports.append(report)
        received.spent.append(spent)

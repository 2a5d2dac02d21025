"""Materializes chosen assets in this process with their checks, and says what came of both: what CI asks for."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.defs.progress import listening
from calcom_pipeline.defs.runner import QUIET, REPOSITORY_TAG, cause_of
from calcom_pipeline.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check came to; `severity` is `warn` or `error`, `text` its text."""

    asset: str
    check: str
    passed: bool
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """A run over chosen assets: those that were made, what their checks came to, why steps failed."""

    success: bool
    run_id: str
    assets: list[str] = field(default_factory=list[str])
    checks: list[CheckOutcome] = field(default_factory=list[CheckOutcome])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def failed_checks(self, *, warnings_too: bool) -> list[CheckOutcome]:
        """Those that did not pass, all of them or errors alone."""
        return [c for c in self.checks if not c.passed and (warnings_too or c.severity == "error")]


def materialize_chosen(
    definitions: dg.Definitions, names: Sequence[str], *, partition: str | None, progress: Progress
) -> ChosenRun:
    """Make these assets, in their order, and run their checks, on the instance that DAGSTER_HOME names.

    Raises:
        InvalidInput: there is no such asset, or one is not made here.
    """
    keys = _keys(definitions, names)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance, listening(progress):
        result = job.execute_in_process(
            instance=instance,
            asset_selection=keys,
            partition_key=partition,
            raise_on_error=False,
            tags=REPOSITORY_TAG,
            run_config=QUIET,
        )
    made = [event.materialization.asset_key.path[-1] for event in result.get_asset_materialization_events()]
    return ChosenRun(
        result.success,
        result.run_id,
        made,
        [_outcome(evaluation) for evaluation in result.get_asset_check_evaluations()],
        {event.step_key or "": cause_of(event) for event in result.all_events if event.is_step_failure},
    )


def _keys(definitions: dg.Definitions, names: Sequence[str]) -> list[dg.AssetKey]:
    """By their last part, or by the whole key (`calcom/bookings`)."""
    graph = definitions.resolve_asset_graph()
    known = {spelled: key for key in graph.materializable_asset_keys for spelled in (key.path[-1], "/".join(key.path))}
    unknown = [name for name in names if name not in known]
    if unknown:
        short = sorted({key.path[-1] for key in graph.materializable_asset_keys})
        raise InvalidInput(
            [f"There is no asset {name} that is made here" for name in unknown],
            advice=f"Name some of {', '.join(short)}.",
        )
    return [known[name] for name in names]


def _outcome(found: dg.AssetCheckEvaluation) -> CheckOutcome:
    severity = "error" if found.severity == dg.AssetCheckSeverity.ERROR else "warn"
    return CheckOutcome(found.asset_key.path[-1], found.check_name, found.passed, severity, found.description or "")

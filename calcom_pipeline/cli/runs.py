"""`calcom-pipeline runs`: Dagster's runs in progress, who executes them, and what is left of those that died."""

import os
from typing import TYPE_CHECKING

import click

from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.maintenance.liveness import LoopProgress, SlotHolder

if TYPE_CHECKING:
    from calcom_pipeline.app.maintenance.health import Examination
    from calcom_pipeline.bootstrap.container import Container

_NAMED = 5  # in a sentence; `runs` lists all
_ID_CHARACTERS = 8  # as the UI shows a run's id
_CURE = "`calcom-pipeline up` gives them up by itself; else `calcom-pipeline runs --reap` does it once."


@click.command()
@click.option("--reap", is_flag=True, help="Give up runs whose process is dead, and free their slots, now.")
@with_output
def runs(output: Output, *, reap: bool) -> None:
    """Runs of Dagster that have not ended, the processes that execute them, and the slots of pools that are held.

    A run whose process was killed is failed by the sensor `dead_runs`, or by `up`, and started again by Dagster's run
    retries. With --reap this command does it, where neither runs. A process on another machine has to be silent for a
    minute, and is looked at twice: repeat the command.
    """
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    given_up: tuple[str, ...] = ()
    if reap:
        given_up = _reaped(output)
    with ready_container(settings) as container:
        progress, held = _looked(container)
    rows = [(run.run_id, run.job, run.status, _executed_by(run)) for run in progress]
    output.table("Runs in progress", ("run", "job", "state", "executed by"), rows)
    if held:
        output.table("Slots held", ("pool", "run", "step", "state of the run"), [_slot_row(slot) for slot in held])
    values = {"runs": [_run_value(run) for run in progress], "slots": [_slot_value(slot) for slot in held]}
    stuck = any(run.is_stuck for run in progress)
    then = NextStep("calcom-pipeline runs --reap", "give up those that nobody executes") if stuck else None
    output.result("runs", {**values, "given_up": list(given_up)}, then=then)


def run_examinations(container: "Container") -> "list[Examination]":
    """What the doctor looks at in Dagster's database."""
    from calcom_pipeline.app.maintenance.health import Examination

    return [
        Examination("Dagster runs", lambda: _runs(container)),
        Examination("Dagster slots", lambda: _slots(container)),
    ]


def _runs(container: "Container") -> str:
    progress, _ = _looked(container)
    stuck = [run for run in progress if run.is_stuck]
    if stuck:
        named = ", ".join(f"{run.run_id[:_ID_CHARACTERS]} ({run.job}, {run.status})" for run in stuck[:_NAMED])
        raise StoreError(f"{len(stuck)} runs have no living process: {named}", advice=_CURE)
    return f"{len(progress)} in progress" if progress else "none in progress"


def _slots(container: "Container") -> str:
    progress, held = _looked(container)
    stuck = {run.run_id for run in progress if run.is_stuck}
    left = [slot for slot in held if slot.is_left or slot.run_id in stuck]
    if left:
        named = ", ".join(f"{slot.pool} by run {slot.run_id[:_ID_CHARACTERS]}" for slot in left[:_NAMED])
        raise StoreError(f"{len(left)} slots are held by runs that do not run: {named}", advice=_CURE)
    return f"{len(held)} held by runs in progress" if held else "all free"


def _looked(container: "Container") -> tuple[list[LoopProgress], list[SlotHolder]]:
    from calcom_pipeline.adapters.postgres.maintenance.dagster_runs import runs_in_progress, slots_held
    from calcom_pipeline.bootstrap.dagster_instance import known_dagster_url

    url = known_dagster_url(container)
    return ([], []) if url is None else (runs_in_progress(url), slots_held(url))


def _reaped(output: Output) -> tuple[str, ...]:
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment
    from calcom_pipeline.settings import load_settings

    with dagster_environment(load_settings()) as (environment, _):
        os.environ.update(environment)
        from calcom_pipeline.defs.maintenance.reaping import reap
        from calcom_pipeline.defs.pools import opened_instance  # seconds of imports

        with opened_instance() as instance:
            done = reap(instance)
    output.line(f"{len(done.runs)} dead runs were given up, the slots of {len(done.slots)} runs freed.")
    return done.runs


def _executed_by(run: LoopProgress) -> str:
    if run.is_stuck:
        return "nobody: it is stuck"
    return "\n".join(run.holders) or "nobody yet"


def _slot_row(slot: SlotHolder) -> tuple[str, ...]:
    return slot.pool, slot.run_id, slot.step, f"{slot.status}: nobody needs it" if slot.is_left else slot.status


def _run_value(run: LoopProgress) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "job": run.job,
        "status": run.status,
        "holders": list(run.holders),
        "stuck": run.is_stuck,
    }


def _slot_value(slot: SlotHolder) -> dict[str, object]:
    return {"pool": slot.pool, "run_id": slot.run_id, "step": slot.step, "status": slot.status, "left": slot.is_left}

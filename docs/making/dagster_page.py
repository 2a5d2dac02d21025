"""`reference/dagster.md`: assets, checks, jobs, schedules and sensors as the code location defines them."""

from collections.abc import Iterable

import dagster as dg

from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.markdown import SEE
from docs.making.markdown import code, page, prose, table

_INTRODUCTION = """What the code location holds. What to do about a check and what a job's launchpad asks for is
explained in [the operator's desk](../dagster.md). An account with a name of its own puts it in front:
`agency_a_full_sync`. Times and intervals are those of the sandbox with nothing set; on a real account sensors look less
often, see [settings](settings.md#sensor)."""


def dagster_page() -> str:
    """The page."""
    return page(
        "Dagster",
        _INTRODUCTION,
        _section("Assets", ["asset", "kinds", "what it is"], _assets()),
        _section("Checks", ["check", "asset", "what passes"], _checks()),
        _section("Jobs", ["job", "what it does"], _jobs()),
        _section("Schedules", ["schedule", "cron (UTC)", "job", "why"], _schedules()),
        _section("Sensors", ["sensor", "looks every", "job", "what it looks for"], _sensors()),
    )


def _section(title: str, heads: list[str], rows: Iterable[tuple[str, ...]]) -> str:
    return f"## {title}\n\n{table(heads, sorted(rows))}"


def _assets() -> Iterable[tuple[str, ...]]:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        yield (
            code(key.to_user_string()),
            ", ".join(sorted(node.kinds)),
            prose((node.description or "").partition(f"\n\n{SEE}")[0]),
        )


def _checks() -> Iterable[tuple[str, ...]]:
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        yield code(key.name), code(key.asset_key.to_user_string()), prose(graph.get(key).description or "")


def _jobs() -> Iterable[tuple[str, ...]]:
    jobs = defs.get_repository_def().get_all_jobs()
    return [(code(job.name), prose(job.description or "")) for job in jobs if not job.name.startswith("__")]


def _schedules() -> Iterable[tuple[str, ...]]:
    for each in defs.get_repository_def().schedule_defs:
        yield code(each.name), code(str(each.cron_schedule)), code(each.job_name), prose(each.description or "")


def _sensors() -> Iterable[tuple[str, ...]]:
    for each in defs.get_repository_def().sensor_defs:
        yield (
            code(each.name),
            f"{each.minimum_interval_seconds} s",
            _target(each),
            prose(each.description or ""),
        )


def _target(sensor: dg.SensorDefinition) -> str:
    """The one job that it starts; those that may start any are said to."""
    names = [target.job_name for target in sensor.targets]
    return code(names[0]) if len(names) == 1 else ("any" if names else "none")

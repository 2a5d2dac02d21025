"""200 pushes to a Cal.com that takes 150 ms per request and has no limit: ten and five at once against one by one.

    python -m bench.pushes [--services N] [--latency SECONDS]

One by one is the same apply with one worker: the same listings, the same checks, the same writes. Prints what it cost
in calls, and how wide the gap between a batch's listing and its writes was.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.ground import UNLIMITED, Ground, ground
from bench.results import Plot, Result, Table, publish
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.domain.services.fields import remote_values, service_columns
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.settings import load_settings
from tests.support.planning import apply_now, plan_now

AT_ONCE = (10, 5, 1)


@dataclass(frozen=True)
class Applied:
    """One apply."""

    workers: int
    seconds: float
    calls: int
    gap_seconds: float
    done: int
    cpu_seconds: float


def drift(container: Container, wanted: Mapping[str, int]) -> dict[str, int]:
    """Linked services whose title was edited here; how many by owner. `wanted`: how many of each kind of owner."""
    calcom, store = container.calcom, container.services.store
    me, made = calcom.me().user_id, dict[str, int]()
    listed = [e for e in calcom.list_personal() if e.owner.id == me]
    listed += [e for team in calcom.teams() for e in calcom.list_team(team)]
    for found in (e for e in listed if e.parent_id is None and not e.is_managed_parent):
        owner = str(found.owner)
        if made.get(owner, 0) >= wanted.get(found.owner.kind, 0):
            continue
        columns: dict[str, Any] = {**service_columns(remote_values(found)), "name": f"{found.title[:200]} (new)"}
        columns |= {"team_id": found.owner.id} if found.owner.kind == "team" else {}
        store.begin(Link(store.insert(columns), found.owner, found.id, remote_values(found)))
        made[owner] = made.get(owner, 0) + 1
    return made


def applied(here: Ground, workers: int, services: int, latency: float) -> Applied:
    """Plan without a delay, apply with it."""
    control = here.sandbox.control
    control.reset(account=True)
    settings = load_settings(
        here.environment(
            CALCOM_DATABASE_SCHEMA=f"bench_pushes_{workers}",
            CALCOM_APPLY="auto",
            CALCOM_APPLY_WORKERS=str(workers),
            CALCOM_RATE_LIMIT_PER_MINUTE="100000",
            CALCOM_RATE_BURST_REQUESTS="50",
        )
    )
    with ready_container(settings) as container:
        drift(container, {"user": services})
        stored = plan_now(container, "bench")
        fault = control.add_fault("latency", seconds=latency)
        before, began, cpu = container.calcom.spent().calls, time.perf_counter(), time.process_time()
        report = apply_now(container, stored)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        control.remove_fault(fault)
        calls = container.calcom.spent().calls - before
    return Applied(workers, seconds, calls, report.gap_seconds, report.counts.get("done", 0), cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.15)
    given = parser.parse_args()
    with ground(event_types=8 * given.services // 5, teams=1, bookings=0, limit=UNLIMITED) as here:
        runs = [applied(here, workers, given.services, given.latency) for workers in AT_ONCE]
    slow = runs[-1].seconds
    rows = [
        (
            f"{r.workers} at once",
            f"{r.seconds:.2f}",
            f"{slow / r.seconds:.1f}",
            r.calls,
            r.done,
            f"{r.gap_seconds:.2f}",
            f"{r.cpu_seconds:.2f}",
        )
        for r in runs
    ]
    head = ("", "seconds", "times as fast", "calls", "done", "widest gap s", "CPU s")
    publish(
        Result(
            [Table(head, rows)],
            {f"{r.workers} at once / one by one": r.seconds / slow for r in runs[:-1]},
            [
                Plot(
                    f"{given.services} pushes, {1000 * given.latency:.0f} ms a request",
                    "at once",
                    "seconds",
                    {"pushes": sorted((float(r.workers), r.seconds) for r in runs)},
                    log_x=False,
                )
            ],
        )
    )


if __name__ == "__main__":
    main()

"""The planner alone: so many services against so many event types, CPU seconds and memory at 1,000, 10,000, 100,000.

    python -m bench.planner [SIZE ...]

Of ten services one was edited here, one at Cal.com, one on both sides, one is new, one is adopted and one has lost its
event type; the other four are unchanged. Memory is what planning holds at its peak beside its input. Python's garbage
collector looks over the input too, the more often the larger it is, so the ratio is of planning without it.
"""

import argparse
import gc
import time
import tracemalloc
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bench.results import Plot, Result, Table, publish
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.fields import remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.reconcile import Situation, plan_services

SIZES = (1_000, 10_000, 100_000)
ME, TEAM = Owner("user", 1), Owner("team", 2)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
EDITED_HERE, EDITED_THERE, EDITED_TWICE, NEW, ADOPTED, LOST = range(6)
KINDS = 10
TIMES = 5


@dataclass(frozen=True)
class Figure:
    """What planning cost: CPU seconds, those without the collector, the peak of memory in bytes; and what came out."""

    size: int
    cpu_seconds: float
    alone_seconds: float
    peak_bytes: int
    counts: Counter[str]


def situation(size: int) -> Situation:
    """As many services as event types, half of them a team's."""
    services: list[Service] = []
    event_types: list[EventType] = []
    links: list[Link] = []
    for number in range(1, size + 1):
        kind, owner = number % KINDS, TEAM if number % 2 else ME
        title, slug = f"Service {number}", f"service-{number}"
        agreed = EventType(number, owner, slug, title, 30, description=f"What service {number} is about")
        service = Service(
            str(number),
            f"{title} new" if kind in (EDITED_HERE, EDITED_TWICE) else title,
            slug,
            30,
            description=agreed.description,
            is_active=True,
            team_id=TEAM.id if owner is TEAM else None,
            version="1",
        )
        services.append(service)
        there = replace(agreed, title=f"{title} there") if kind in (EDITED_THERE, EDITED_TWICE) else agreed
        # A service that is new has no event type; to keep the numbers equal a stranger's stands in its place.
        event_types.append(there if kind not in (NEW, LOST) else replace(there, slug=f"stranger-{number}"))
        if kind == LOST:
            links.append(Link(service.id, owner, size + number, remote_values(agreed)))
        elif kind not in (NEW, ADOPTED):
            links.append(Link(service.id, owner, number, remote_values(agreed)))
    return Situation(
        me=ME, services=services, event_types=event_types, listed=frozenset((ME, TEAM)), links=links, now=NOW
    )


def measured(size: int) -> Figure:
    """Plan for the time, and once for the memory: tracing slows down."""
    given = situation(size)
    peak, counts = peak_of(given)
    seconds = _least_cpu(given)
    gc.disable()
    alone = _least_cpu(given)
    gc.enable()
    return Figure(size, seconds, alone, peak, counts)


def peak_of(given: Situation) -> tuple[int, Counter[str]]:
    """What planning holds at its peak beside its input, in bytes, and how many actions of each kind came out."""
    tracemalloc.start()
    plan = plan_services(given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, Counter(plan.counts())


def _least_cpu(given: Situation) -> float:
    """CPU seconds of planning it, the least of some times, more of them the shorter one takes."""
    found: list[float] = []
    for _ in range(max(TIMES, SIZES[-1] // len(given.services))):
        began = time.process_time()
        plan = plan_services(given)
        found.append(time.process_time() - began)
        del plan
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    figures = [measured(size) for size in parser.parse_args().sizes]
    rows = [
        (
            f"{f.size:,}",
            f"{f.cpu_seconds:.3f}",
            f"{f.cpu_seconds / f.size * 1e6:.1f}",
            f"{f.alone_seconds / f.size * 1e6:.1f}",
            f"{f.peak_bytes / 2**20:.1f}",
            f"{f.peak_bytes / f.size:.0f}",
            ", ".join(f"{number:,} {kind}" for kind, number in f.counts.items()),
        )
        for f in figures
    ]
    costs = ("CPU s", "µs a service", "without the collector", "peak MiB", "bytes a service")
    head = ("services and event types", *costs, "plan")
    per_service = [(float(f.size), f.alone_seconds / f.size * 1e6) for f in figures]
    with_collector = [(float(f.size), f.cpu_seconds / f.size * 1e6) for f in figures]
    lines = {"without the collector": per_service, "as it runs": with_collector}
    publish(
        Result(
            [Table(head, rows)],
            {
                f"a service among {f.size:,} / among {figures[0].size:,}": each / per_service[0][1]
                for f, (_, each) in zip(figures[1:], per_service[1:], strict=True)
            },
            [Plot("Planning", "services and event types", "µs of CPU a service", lines)],
        )
    )


if __name__ == "__main__":
    main()

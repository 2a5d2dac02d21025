"""Our own reader on an empty schema: `sync bookings` as the command line runs it, once full and once unchanged."""

import os
import time
from typing import Any

import psycopg

from bench.child import cpu_seconds_so_far, rounds, tell

SCHEMA = "bench_ours"


def main() -> None:
    began = time.perf_counter()
    from calcom_pipeline.app.bookings.mirror import pull_bookings
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    found: dict[str, Any] = {}
    with ready_container(load_settings({**os.environ, "CALCOM_DATABASE_SCHEMA": SCHEMA})) as container:
        container.require_schema()
        for name in rounds():
            before, at, cpu = container.calcom.spent(), time.perf_counter(), cpu_seconds_so_far()
            report = pull_bookings(container.calcom, container.bookings.mirror, container.bookings.options, now=utc_now)
            after = container.calcom.spent()
            found |= {
                f"{name}rows": report.read,
                f"{name}seconds": time.perf_counter() - at,
                f"{name}read_cpu_seconds": cpu_seconds_so_far() - cpu,
                f"{name}calls": after.calls - before.calls,
                f"{name}refused": after.refused - before.refused,
            }
    tell(**found, with_start=time.perf_counter() - began)


if __name__ == "__main__":
    main()

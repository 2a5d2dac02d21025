"""Our own reader on an empty schema: `sync bookings` as the command line runs it, once full and once unchanged."""

import json
import os
import time

import psycopg

SCHEMA = "bench_ours"


def main() -> None:
    began = time.perf_counter()
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.sync.bookings import pull_bookings
    from calcom_pipeline.wiring import open_pipeline, utc_now

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    found = {}
    with open_pipeline(load_settings({**os.environ, "CALCOM_DATABASE_SCHEMA": SCHEMA})) as pipeline:
        pipeline.store  # noqa: B018 - the schema is made here, which is no part of a read
        for name in ("rows", "unchanged"):
            before, at = pipeline.calcom.spent().calls, time.perf_counter()
            report = pull_bookings(pipeline.calcom, pipeline.booking_mirror, pipeline.booking_options, now=utc_now)
            calls = pipeline.calcom.spent().calls - before
            found |= {name: report.read, f"{name} seconds": time.perf_counter() - at, f"{name} calls": calls}
    print(json.dumps({**found, "seconds": found["rows seconds"], "with start": time.perf_counter() - began}))


if __name__ == "__main__":
    main()

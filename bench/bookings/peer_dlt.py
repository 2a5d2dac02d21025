"""dlt's rest_api source into PostgreSQL, tuned: once full, once more with nothing changed.

Offset paging by 250, incremental by `updatedAt`, files of CSV (which go in by COPY), upserted by `uid`; attendees and
hosts become child tables by dlt's own doing. Retries are dlt's defaults. With BENCH_MERGE=delete-insert it merges as by
default, which bears the rows that offset paging repeats. Runs in an environment of its own, so it imports nothing of
ours.
"""

import os
import tempfile
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dlt
from dlt.sources.rest_api import rest_api_source

from bench.child import calls_so_far, cpu_seconds_so_far, rounds, tell

FIRST = "2000-01-01T00:00:00.000Z"
MERGE = os.environ.get("BENCH_MERGE", "upsert")


def bookings() -> Any:
    """The source; its state, and so the point from which it goes on, lies in the pipeline."""
    return rest_api_source(
        {
            "client": {
                "base_url": os.environ["CALCOM_BASE_URL"] + "/",
                "auth": {"type": "bearer", "token": os.environ["CALCOM_API_KEY"]},
                "headers": {"cal-api-version": "2024-08-13"},
                "paginator": {
                    "type": "offset",
                    "limit": 250,
                    "limit_param": "take",
                    "offset_param": "skip",
                    "total_path": None,  # Cal.com's totals are wrong under a time filter
                    "stop_after_empty_page": True,
                },
            },
            "resources": [
                {
                    "name": "bookings",
                    "primary_key": "uid",
                    "write_disposition": {"disposition": "merge", "strategy": MERGE},
                    "endpoint": {
                        "path": "bookings",
                        "data_selector": "data",
                        "params": {"sortUpdatedAt": "asc"},
                        "incremental": {
                            "cursor_path": "updatedAt",
                            "start_param": "afterUpdatedAt",
                            "initial_value": FIRST,
                            "on_cursor_value_missing": "include",
                        },
                    },
                }
            ],
        }
    )


def credentials() -> str:
    """The database's address with the host and the password that dlt insists on; the socket in it still decides."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(netloc="calcom:unused@localhost"))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dlt-") as folder:
        container = dlt.pipeline(
            "bench",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(credentials()),
            dataset_name="bench_dlt",
        )
        found: dict[str, Any] = {}
        for name in rounds():
            began, before, cpu = time.perf_counter(), calls_so_far(), cpu_seconds_so_far()
            container.run(bookings(), loader_file_format="csv")
            found |= {
                f"{name}seconds": time.perf_counter() - began,
                f"{name}read_cpu_seconds": cpu_seconds_so_far() - cpu,
                f"{name}calls": calls_so_far() - before,
            }
        tell(**found)


if __name__ == "__main__":
    main()

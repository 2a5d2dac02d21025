"""What a storm left behind, for somebody who has to find out why something is wrong."""

import shutil
from pathlib import Path

import psycopg

from tests.faults.daemon_stage import Stage

_RUNS = """
SELECT to_char(create_timestamp, 'HH24:MI:SS'), to_char(update_timestamp, 'HH24:MI:SS'), pipeline_name, status,
       left(run_id, 8), coalesce((SELECT string_agg(key || '=' || value, ' ') FROM run_tags AS tag
       WHERE tag.run_id = runs.run_id AND (key LIKE 'calcom/%' OR key IN (
           'dagster/failure_reason', 'dagster/will_retry', 'dagster/retry_number', 'dagster/sensor_name'))), '')
FROM runs ORDER BY id"""
_FAILED_TICKS = """
SELECT to_char(timestamp, 'HH24:MI:SS'), tick_body::json ->> 'instigator_name',
       left(coalesce(tick_body::json #>> '{error,message}', ''), 300)
FROM job_ticks WHERE status = 'FAILURE' ORDER BY id"""


def keep_record(stage: Stage, place: Path) -> None:
    """Runs, failed ticks and logs, in a folder."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copytree(stage.data / "log", place / "log", dirs_exist_ok=True)
    url = stage.servers().dagster_pg_url.replace("+psycopg2", "")
    with psycopg.connect(url) as connection:
        for name, query in (("runs", _RUNS), ("ticks", _FAILED_TICKS)):
            rows = connection.execute(query.encode()).fetchall()
            (place / f"{name}.txt").write_text("\n".join(" | ".join(map(str, row)) for row in rows))

"""`calcom-pipeline up` as a process of its own, its family, and the instance that it serves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import dagster as dg
import requests

from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.supervising.family import Family

START_SECONDS = 120


def wait_for(look: Callable[[], object], seconds: float, *, every: float = 0.2) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, "did not happen in time"
        time.sleep(every)
    return time.monotonic() - began


class Up:
    """One `up` on the environment of this process. Its data folder is CALCOM_DATA_DIR, its instance DAGSTER_HOME's."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.data = Path(os.environ["CALCOM_DATA_DIR"])
        argv = [sys.executable, "-m", "calcom_pipeline.cli", "up", "--port", str(port)]
        self.process = subprocess.Popen(argv, env=dict(os.environ))

    def started(self) -> "Up":
        """Wait until all of it runs."""
        wait_for(lambda: {"code server", "webserver", "daemon", "guard"} <= self.pids().keys(), START_SECONDS)
        wait_for(self.answers, START_SECONDS)
        return self

    def pids(self) -> dict[str, int]:
        """What it says of its processes."""
        assert self.process.poll() is None, "it has ended"
        with suppress(OSError, ValueError):
            record = json.loads((self.data / "up.json").read_text())
            if record["pid"] == self.process.pid:
                return record["processes"]
        return {}

    def family(self) -> Family:
        """All of its processes."""
        return Family(json.loads((self.data / "up.json").read_text())["family"])

    def answers(self) -> bool:
        """Whether the UI does."""
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/server_info", timeout=2).ok
        except requests.RequestException:
            return False

    def says(self, words: str) -> bool:
        """Whether that stands in its log."""
        return words in (self.data / "log" / "dagster.log").read_text(errors="replace")

    def killed(self, name: str) -> int:
        """Kill one of its processes, and wait for its successor."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.pids().get(name, pid) != pid, 60)
        return pid

    def stop(self) -> int:
        """End it as a service manager does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def executing(
    leases: RunLeases, instance: dg.DagsterInstance, job: str, *, but: Collection[str] = ()
) -> tuple[str, int] | None:
    """A run of the job, none of those known, that has a process of this machine, with that process's id."""
    started = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.STARTED]))
    for lease in leases.read():
        if lease.holder and not lease.taken and lease.run_id in {run.run_id for run in started} - set(but):
            return lease.run_id, int(lease.holder.split("/")[2])
    return None

"""One `up` with many accounts, each of a sandbox of its own, and what all of it costs the machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from calcom_pipeline import local
from tests.support.commands import CHECKOUT, argv
from tests.support.described import describe
from tests.support.up import Up, wait_for
from tests.support.web import free_port

START_SECONDS: Final = 600
_LOCATION: Final = '{repositoryLocationName: "calcom_pipeline", repositoryName: "__repository__", pipelineName: "%s"}'
#: Processes of a code server without a run: itself, what runs are forked from, and what looks after that one.
_SERVING: Final = 3
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU that processes had, by what they are; `busy` is the whole machine's."""

    by_kind: Mapping[str, float]
    busy: float
    at: float

    @classmethod
    def now(cls, kinds: Mapping[str, Collection[int]]) -> "Cpu":
        """Of these processes and of those children of theirs that have ended."""
        return cls({kind: sum(map(_seconds, pids)) for kind, pids in kinds.items()}, _machine(), time.monotonic())

    def since(self, before: "Cpu") -> "Cpu":
        """What came between; `at` becomes the length in seconds."""
        spent = {kind: seconds - before.by_kind.get(kind, 0.0) for kind, seconds in self.by_kind.items()}
        return Cpu(spent, self.busy - before.busy, self.at - before.at)

    @property
    def ours(self) -> float:
        """All but the stand-in for Cal.com."""
        return sum(seconds for kind, seconds in self.by_kind.items() if kind != "sandboxes")

    def __str__(self) -> str:
        parts = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in sorted(self.by_kind.items()))
        return f"{self.at:.0f} s: {parts}; the machine {self.busy:.0f} s"


class ManyAccounts:
    """Sandboxes, files of accounts, migrated schemas; `up` is started by `begin`. The environment must be `told`."""

    def __init__(self, folder: Path, number: int, port: int) -> None:
        self.folder, self.number, self.port = folder, number, port
        self.receiver_port = free_port()
        self.up: Up | None = None
        self.receiver: subprocess.Popen[bytes] | None = None
        self.sandboxes = subprocess.Popen(
            [sys.executable, "-m", "tests.support.many_sandboxes", str(number), str(folder / "sandboxes.json")],
            cwd=CHECKOUT,
        )
        wait_for((folder / "sandboxes.json").exists, START_SECONDS)
        self.served: list[dict[str, str]] = json.loads((folder / "sandboxes.json").read_text())

    @property
    def names(self) -> list[str]:
        """Of the accounts."""
        return [f"agency_{number:03}" for number in range(self.number)]

    def describe(self, **attributes: Any) -> None:
        """Write all files anew; deliveries of webhooks go to `receive`."""
        for name, sandbox in zip(self.names, self.served, strict=True):
            secret = self.folder / f"{name}.hook"
            secret.write_text(f"hook-secret-of-{name}-0123456789abcdef")
            hook = {
                "webhook_secret": {"file": str(secret)},
                "webhook_url": f"http://127.0.0.1:{self.receiver_port}/webhooks/calcom/{name}",
            }
            own = {"base_url": sandbox["url"], **hook, **attributes}
            describe(self.folder / "accounts", name, key=sandbox["key"], **own)

    def receive(self) -> None:
        """Start the one receiver of all."""
        environment = {**os.environ, "CALCOM_HTTP_PORT": str(self.receiver_port)}
        self.receiver = subprocess.Popen(argv("serve", "--all"), env=environment)
        wait_for(self._receives, START_SECONDS)

    def _receives(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.receiver_port}/health", timeout=5).ok
        return False

    def migrate(self) -> None:
        """The schemas of all."""
        subprocess.run(argv("migrate", "--all"), env=dict(os.environ), check=True, capture_output=True)

    def begin(self) -> float:
        """Start `up`; seconds until its location is loaded."""
        self.up = Up(self.port)
        began = time.monotonic()
        self.up.started()
        wait_for(self._is_loaded, START_SECONDS)
        return time.monotonic() - began

    def end_up(self) -> None:
        """Stop it."""
        if self.up is not None and self.up.process.poll() is None:
            self.up.stop()
        self.up = None

    def end(self) -> None:
        """All of it, but the servers."""
        self.end_up()
        if self.receiver is not None and self.receiver.poll() is None:
            self.receiver.terminate()
            self.receiver.wait(60)
        self.sandboxes.send_signal(signal.SIGTERM)
        self.sandboxes.wait(60)

    def ask(self, query: str) -> Any:
        """What the UI's server says."""
        url = f"http://127.0.0.1:{self.port}/graphql"
        return requests.post(url, json={"query": query}, timeout=120).json()["data"]

    def launch(self, job: str) -> str:
        """Start a run as a button of the UI does; its id."""
        selector = _LOCATION % job
        query = (
            f"mutation {{ launchRun(executionParams: {{selector: {selector}, runConfigData: {{}}}}) "
            "{ __typename ... on LaunchRunSuccess { run { runId } } } }"
        )
        answer = self.ask(query)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def runs(self) -> list[tuple[str, str]]:
        """Job and state of every run."""
        found = self.ask("{ runsOrError { ... on Runs { results { pipelineName status } } } }")["runsOrError"][
            "results"
        ]
        return [(run["pipelineName"], run["status"]) for run in found]

    def statuses(self) -> dict[str, int]:
        """How many runs there are in each state."""
        states = [status for _, status in self.runs()]
        return {state: states.count(state) for state in sorted(set(states))}

    def is_running(self) -> bool:
        """Whether a run is waiting or under way, or its process has not ended yet."""
        under_way = self.statuses().keys() - {"SUCCESS", "FAILURE", "CANCELED"}
        return bool(under_way) or len(self.processes()["code server"]) > _SERVING

    def _is_loaded(self) -> bool:
        with suppress(requests.RequestException, ValueError, KeyError, TypeError):
            found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
            return bool(found["repositoriesOrError"]["nodes"])
        return False

    # --- what it costs -------------------------------------------------------------------------------------

    def processes(self) -> dict[str, list[int]]:
        """The process ids by what they are."""
        assert self.up is not None
        roots = {**self.up.pids(), "sandboxes": self.sandboxes.pid}
        if self.receiver is not None:
            roots["receiver"] = self.receiver.pid
        servers = local.status(Path(os.environ["CALCOM_DATA_DIR"]))
        assert servers is not None
        roots["servers"] = servers.owner_pid
        return {kind: _with_descendants(pid) for kind, pid in roots.items()} | {"up": [self.up.process.pid]}

    def memory(self) -> dict[str, int]:
        """Megabytes by kind; what several processes share counts once, a part of it for each (PSS).

        Of PostgreSQL's a plain sum would count its shared buffers for each session that has touched them.
        """
        return {kind: round(sum(map(_megabytes, pids))) for kind, pids in self.processes().items()}


def _with_descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_bytes().rpartition(b") ")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, left = list[int](), [root]
    while left:
        pid = left.pop()
        found.append(pid)
        left += parents.get(pid, [])
    return found


def _seconds(pid: int) -> float:
    """User and system time of a process and of its waited-for children."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return sum(map(int, fields[11:15])) / _TICK
    return 0.0


def _megabytes(pid: int) -> float:
    with suppress(OSError):
        kilobytes = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(kilobytes[1]) / 1024 if kilobytes else 0.0
    return 0.0


def _machine() -> float:
    """Time that all cores of the machine were not idle."""
    line = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, _idle, _wait, irq, soft, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + soft) / _TICK

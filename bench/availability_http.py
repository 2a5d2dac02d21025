"""Free times over HTTP: ours warm, beside a bare Starlette route with the same bytes, and beside Cal.com asked live.

    python -m bench.availability_http [--rounds N] [--askers 1 8 32] [--live-milliseconds MS]

All three answer the same window of 7 days over loopback in one run: ours is `calcom-pipeline serve` with one process
before a real PostgreSQL and Valkey; the bare one is a route of Starlette under the same uvicorn, with the bytes that
ours answered; live is Cal.com's sandbox without a limit, which takes as long as Cal.com was seen to take at least.
Askers keep their connections, and take turns between the three, so that whatever else runs here meets all of them
(`http_askers`).
"""

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

from bench.ground import UNLIMITED, Ground, cpu_seconds, ground, percentile
from bench.http_askers import Askers, askers_process
from bench.results import Result, Table, publish

ASKERS = (1, 8, 32)
OURS = "HTTP API, warm"
ROUNDS = 3200  # answers of each; p99 is the 32nd from the end
TURN_ANSWERS = 10  # of each asker until the other place is asked: a machine with other work is never the same for long
LIVE_MILLISECONDS = 80  # the quickest that Cal.com was seen to answer
WARM_UP = 30
DAYS = 7
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """Who is asked, and how."""

    name: str
    port: int
    path: str
    headers: dict[str, str]
    pid: int | None = None

    @property
    def head(self) -> str:
        """The request, as it goes over the line."""
        headers = {"Host": "127.0.0.1", **self.headers}
        return f"GET {self.path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n"

    def cpu_seconds(self) -> float:
        """What its process has used so far; without one, nothing is known."""
        return 0.0 if self.pid is None else cpu_seconds(self.pid)


def read(place: Place) -> bytes:
    """One answer."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
    connection.request("GET", place.path, headers=place.headers)
    content = connection.getresponse().read()
    connection.close()
    return content


@contextmanager
def program(command: list[str], environment: dict[str, str], port: int) -> Generator[int]:
    """A server in a process of its own, from when it answers; its id."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[2]} did not start")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return line.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def window(event_type_id: int) -> str:
    """The query of 7 days from tomorrow."""
    first = datetime.now(UTC).date() + timedelta(days=1)
    days = {"start": first.isoformat(), "end": (first + timedelta(days=DAYS - 1)).isoformat()}
    return "/v2/slots?" + urlencode({"eventTypeId": event_type_id, **days, "timeZone": "Europe/Berlin"})


def measured(field: Ground, given: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of the table."""
    environment = field.environment(
        CALCOM_APPLY="plan",
        CALCOM_RATE_LIMIT_PER_MINUTE="100000",
        CALCOM_RATE_BURST_REQUESTS="50",
        CALCOM_HTTP_REQUESTS_PER_MINUTE="1000000",
        CALCOM_SLOT_TTL_SECONDS="3600",
        CALCOM_SLOT_EMPTY_TTL_SECONDS="3600",
        CALCOM_SLOT_SETTLE_SECONDS="0",
    )
    cli = [sys.executable, "-m", "calcom_pipeline.cli"]
    subprocess.run([*cli, "sync", "event-types"], env=environment, check=True, stdout=subprocess.DEVNULL)
    event_type_id = next(one["id"] for one in field.sandbox.control.account()["eventTypes"] if not one.get("teamId"))
    path, ours_at, bare_at = window(event_type_id), free_port(), free_port()
    live_at = urlsplit(field.sandbox.url).port or 80
    with program([*cli, "serve", "--port", str(ours_at)], environment, ours_at) as pid:
        ours = Place(OURS, ours_at, path, {}, pid)
        content = read(ours)
        bare_environment = {**os.environ, "BENCH_BODY": content.decode(), "BENCH_PORT": str(bare_at)}
        with program([sys.executable, "-m", "bench.bare_route"], bare_environment, bare_at) as bare_pid:
            bare = Place("bare Starlette route", bare_at, path, {}, bare_pid)
            key = {"Authorization": f"Bearer {field.sandbox.keys['owner']}"}
            live = Place("Cal.com, live", live_at, path, {"cal-api-version": "2024-09-04", **key})
            if read(bare) != content:
                raise RuntimeError("the bare route answers something else")
            field.sandbox.control.add_fault("latency", "GET /v2/slots", seconds=given.live_milliseconds / 1000)
            with askers_process() as crowd:
                return [row for one in given.askers for row in compared(crowd, (bare, ours, live), one, given.rounds)]


def compared(crowd: Askers, places: tuple[Place, Place, Place], askers: int, rounds: int) -> list[tuple[str, ...]]:
    """The three with so many askers, in turns."""
    bare, ours, live = places

    def timed(place: Place, answers: int) -> list[float]:
        return crowd.timed(place.port, place.head, askers, answers)

    for place in (bare, ours):
        timed(place, max(WARM_UP, 4 * askers))
    turns = max(1, rounds // (TURN_ANSWERS * askers))
    found: dict[str, list[float]] = {place.name: [] for place in (bare, ours, live)}
    used = {place.name: -place.cpu_seconds() for place in (bare, ours, live)}
    for _ in range(turns):
        for place in (bare, ours):
            found[place.name] += timed(place, rounds // turns)
        if len(found[live.name]) < rounds // 10:
            found[live.name] += timed(live, askers)
    for place in (bare, ours):
        used[place.name] = (used[place.name] + place.cpu_seconds()) / len(found[place.name])
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    return [
        (
            str(askers),
            name,
            f"{middle[name] * 1000:.2f}",
            f"{percentile(seconds, 99) * 1000:.2f}",
            ratio(middle[name], middle[bare.name]),
            ratio(percentile(seconds, 99), percentile(found[bare.name], 99)),
            ratio(middle[live.name], middle[name]),
            "" if name == live.name else f"{used[name] * 1000:.2f}",
            "" if name == live.name else ratio(used[name], used[bare.name]),
        )
        for name, seconds in found.items()
    ]


ratio: Callable[[float, float], str] = lambda one, other: f"{one / other:.1f}"  # noqa: E731


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--askers", type=int, nargs="*", default=ASKERS)
    parser.add_argument("--live-milliseconds", type=float, default=LIVE_MILLISECONDS)
    parser.add_argument("--event-types", type=int, default=60)
    given = parser.parse_args()
    with ground(event_types=given.event_types, teams=1, bookings=200, seed=7, limit=UNLIMITED) as field:
        rows = measured(field, given)
    head = (
        "askers",
        "who answers",
        "p50 ms",
        "p99 ms",
        "ratio p50",
        "p99",
        "live in p50s",
        "its CPU ms",
        "ratio",
    )
    ours = [row for row in rows if row[1] == OURS]
    ratios = {f"{figure} at {row[0]} askers": float(row[at]) for row in ours for figure, at in (("p50", 4), ("CPU", 8))}
    publish(Result([Table(head, rows)], ratios))


if __name__ == "__main__":
    main()

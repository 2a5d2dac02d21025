"""Deliveries a second: the receiver and a bare Starlette route, side by side, each alone on one core.

    python -m bench.webhook_intake [--rate 1000] [--seconds 5] [--idle 1000]

The bare route reads the body and answers 200; ours judges it and has it on the disk first. Deliveries are sent at fixed
moments whatever the answers do, and their time counts from the moment they were due, so that a server that stalls is
charged for those it kept waiting. Beside them stand idle connections and one that sends a byte a second.
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import signal
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bench.ground import ground
from bench.results import Result, Table, publish
from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
from calcom_pipeline.app.webhooks.receive import Intake, IntakeOptions
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.settings import Settings
from calcom_pipeline.web.app import build_app
from calcom_pipeline.web.serving import listening, server_config
from calcom_pipeline.web.webhooks import PATH, WebhookOptions, webhook_routes
from tests.support.deliveries import SECRET, delivery_body, signature

CONNECTIONS = 64
SCHEMA = "bench"
#: As large as the recorded ones.
PADDING = "x" * 1500


def serve_bare(port: int, core: int) -> None:
    """A route that does nothing but read."""

    async def take(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("ok")

    os.sched_setaffinity(0, {core})
    _serve(Starlette(routes=[Route(PATH, take, methods=["POST"])]), port)


def serve_ours(port: int, core: int, database_url: str, folder: str) -> None:
    """The receiver with its inbox, in the application of `calcom-pipeline serve`: gate, figures, log."""
    os.sched_setaffinity(0, {core})
    with open_database(database_url, schema=SCHEMA) as database:
        inbox = PostgresInbox(database, "keep", lambda: People("keep", load_pseudonyms(database, None)))
        spool = FileSpool(Path(folder), most_bytes=100_000_000)
        with Intake(inbox, spool, IntakeOptions(lambda: [SECRET]), now=utc_now) as intake:
            _serve(build_app(object(), extra=webhook_routes(intake, WebhookOptions())), port)


def _serve(app: Starlette, port: int) -> None:
    """Under the server of `calcom-pipeline serve`, the bare route too."""
    with profiled(), listening("127.0.0.1", port) as listener:
        uvicorn.Server(server_config(app, Settings())).run(sockets=[listener])


@contextmanager
def profiled() -> Generator[None]:
    """With BENCH_PROFILE, where the event loop's thread spends its time is written to that file."""
    file = os.environ.get("BENCH_PROFILE")
    if file is None:
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: None)  # which uvicorn raises again once it has stopped
    profile = cProfile.Profile()
    with profile:
        yield
    profile.dump_stats(f"{file}.{os.getpid()}")


@dataclass
class Figure:
    name: str
    milliseconds: list[float]
    statuses: Counter[int]
    seconds: float
    cpu_seconds: float = 0.0

    def row(self) -> list[object]:
        cut = statistics.quantiles(self.milliseconds, n=1000)
        rate = len(self.milliseconds) / self.seconds
        told = ", ".join(f"{status}: {number}" for status, number in sorted(self.statuses.items()))
        cpu = 1000 * self.cpu_seconds / len(self.milliseconds)
        return [self.name, f"{rate:.0f}", f"{cut[499]:.1f}", f"{cut[989]:.1f}", f"{cut[998]:.1f}", f"{cpu:.2f}", told]


def requests_of(number: int) -> list[bytes]:
    made = list[bytes]()
    for n in range(number):
        raw = delivery_body(f"u{n}", number=n, padding=PADDING)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Cal-Signature-256: {signature(raw)}\r\nContent-Length: {len(raw)}"
        made.append(head.encode() + b"\r\n\r\n" + raw)
    return made


async def load(name: str, port: int, requests: Sequence[bytes], rate: int, idle: int) -> Figure:
    """Send them at their moments over a few connections that are kept."""
    beside = [await asyncio.open_connection("127.0.0.1", port) for _ in range(idle)]
    loris = asyncio.create_task(_dribble(port)) if idle else None
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    taken, statuses = list[float](), Counter[int]()
    workers = [asyncio.create_task(_worker(port, due, taken, statuses)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number, request in enumerate(requests):
        at = began + number / rate
        if (wait := at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((at, request))
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    seconds = time.perf_counter() - began
    if loris is not None:
        loris.cancel()
    for _, writer in beside:
        writer.close()
    return Figure(name, taken, statuses, seconds)


async def _worker(port: int, due: "asyncio.Queue[Any]", taken: list[float], statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await due.get()) is not None:
        at, request = item
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        taken.append((time.perf_counter() - at) * 1000)
        statuses[int(head.split()[1])] += 1
    writer.close()


async def _dribble(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
    with suppress(OSError):
        while True:
            writer.write(b"x")
            await asyncio.sleep(1)


def measure(name: str, role: Any, arguments: Sequence[Any], options: argparse.Namespace, idle: int) -> Figure:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    cores = sorted(os.sched_getaffinity(0))
    process = multiprocessing.get_context("spawn").Process(target=role, args=(port, cores[-1], *arguments), daemon=True)
    process.start()
    try:
        _until_there(port)
        asyncio.run(load(name, port, requests_of(200), 200, 0))  # warm
        requests = requests_of(options.rate * options.seconds)
        before = _cpu_seconds(process.pid or 0)
        figure = asyncio.run(load(name, port, requests, options.rate, idle))
        figure.cpu_seconds = _cpu_seconds(process.pid or 0) - before
        return figure
    finally:
        process.terminate()
        process.join(10)


def _cpu_seconds(pid: int) -> float:
    """CPU of a process with all its threads so far; it depends little on what else runs here."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until_there(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if time.monotonic() > end:
            sys.exit("the server did not start")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="deliveries a second")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=1000, help="idle connections beside them")
    options = parser.parse_args()
    with ground(event_types=1, bookings=1) as here:
        with open_database(here.servers.database_url, schema=SCHEMA) as database:
            migrate(database, shipped_migrations())
        ours = (here.servers.database_url, "/dev/null/spool")  # whatever cannot be stored is told as a 503
        figures = [
            measure("bare Starlette", serve_bare, (), options, 0),
            measure("receiver", serve_ours, ours, options, 0),
            measure(f"receiver, {options.idle} idle and a slow one", serve_ours, ours, options, options.idle),
        ]
    columns = ("server", "a second", "median ms", "p99 ms", "p99.9 ms", "CPU ms each", "answers")
    bare = figures[0].cpu_seconds / len(figures[0].milliseconds)
    names = ("receiver", "receiver beside idle connections")
    ratios = {
        f"CPU of {name} / bare route": figure.cpu_seconds / len(figure.milliseconds) / bare
        for name, figure in zip(names, figures[1:], strict=True)
    }
    publish(Result([Table(columns, [figure.row() for figure in figures])], ratios))


if __name__ == "__main__":
    main()

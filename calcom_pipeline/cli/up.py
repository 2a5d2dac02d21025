"""`calcom-pipeline up`: the Dagster UI and its daemon, until Ctrl-C, or for good under a service manager.

It keeps the code server, the webserver and the daemon itself, rather than `dagster dev`, whose children outlive it, and
which ends when one of them does. See `supervising` for what happens to whom, deploy/ for a unit of systemd.
"""

import fcntl
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calcom_pipeline.domain.errors import ConfigurationError, PipelineError

if TYPE_CHECKING:
    from calcom_pipeline.bootstrap.joined_servers import JoinedServers
    from calcom_pipeline.defs.maintenance.instance_watch import InstanceWatch
    from calcom_pipeline.settings import Settings
    from calcom_pipeline.supervising.services import SupervisedService
    from calcom_pipeline.supervising.shared_log import SharedLog
    from calcom_pipeline.supervising.supervisor import Supervisor

_LINES_OF_TROUBLE = 15
_SOCKET_PATH_BYTES = 100  # the kernel takes 107 (Linux) or 103 (macOS)
_PING_SECONDS = 1.0
_MEGABYTE = 1 << 20
_LOCATION = "calcom_pipeline"
_FIRST_JOB = "full_sync"


class DagsterEnded(PipelineError):  # noqa: N818 - says what happened
    """The UI, the daemon or the code server does not start."""


@click.command()
@click.option("--port", type=int, default=None, help="Port of the UI; default CALCOM_UI_PORT, 3000.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the UI listens on; it has no login.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def up(port: int | None, host: str) -> None:
    """Serve the Dagster UI with its daemon: schedules and sensors run until Ctrl-C.

    What dies of it is started again, and nothing outlives it. Runs under way are interrupted when it ends, and started
    again by the next one.
    """
    from calcom_pipeline.bootstrap.locations import data_folder
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    address = Address(host, port or settings.ui_port)
    record = data_folder(settings) / "up.json"
    if not record.exists():  # else a killed one's webserver may still be listening
        address.require_free()
    with ExitStack() as stack:
        log = stack.enter_context(_prepared(settings, record))
        address.require_free()
        _serve(settings, address, log, record)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the UI is to listen."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104 - compared

    def require_free(self) -> None:
        """Raises ConfigurationError if somebody else listens there."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise ConfigurationError(
                    [f"Port {self.port} at {self.host} cannot be used ({error.strerror})"],
                    advice="Choose another one with --port or CALCOM_UI_PORT.",
                ) from None


@contextmanager
def _prepared(settings: "Settings", record: Path) -> Generator["SharedLog"]:
    """The data folder, ours alone, with nothing left of a killed `up`; and the log."""
    from calcom_pipeline import local
    from calcom_pipeline.bootstrap.locations import embedded_failures
    from calcom_pipeline.local.values import explained
    from calcom_pipeline.supervising.shared_log import SharedLog
    from calcom_pipeline.supervising.supervisor import end_leftovers

    with ExitStack() as stack:
        with embedded_failures(), explained("Working in", record.parent):
            folder = local.make_folder(record.parent)
            stack.enter_context(_alone(folder / "up.lock"))
            end_leftovers(record)
            longest = int(settings.dagster_log_megabytes * _MEGABYTE)
            log = SharedLog(folder / "dagster.log", longest_bytes=longest, files=settings.dagster_log_files)
            stack.callback(log.close)
        yield log


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Two daemons on one instance would fire every sensor twice."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                ["calcom-pipeline up is running already for this data folder"], advice="Use that one, or stop it."
            ) from None
        yield


def _serve(settings: "Settings", address: Address, log: "SharedLog", record: Path) -> None:
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment
    from calcom_pipeline.supervising.services import ServiceGivenUp
    from calcom_pipeline.supervising.supervisor import Supervisor, stop_on_signals

    begins = log.size()
    with ExitStack() as stack:
        environment, container = stack.enter_context(dagster_environment(settings))
        stop = stack.enter_context(stop_on_signals())
        os.environ.update(environment)
        click.echo(f"Dagster UI: {address.url}  (in some seconds; Ctrl-C stops it; its log: {log.path})")
        watch = _watching(environment["DAGSTER_PG_URL"], log)
        stack.callback(watch.end)
        click.echo("\n".join(where_to_click(address)))
        services = _services(address, stack.enter_context(_meeting_place(record.parent)), watch)
        if container.endpoints.is_sandbox:
            services += _receiver(settings, address, log)
        supervisor = Supervisor(services, dict(os.environ), log, record)
        if container.endpoints.servers is not None:
            stack.enter_context(_joined(settings, supervisor, watch, log))
        watch.start()
        try:
            supervisor.run(stop)
        except ServiceGivenUp as ended:
            click.echo("\n".join(log.last_lines(_LINES_OF_TROUBLE, since=begins)), err=True)
            raise DagsterEnded(
                f"Dagster ended: its {ended.name} does not start", advice=f"Its log is {log.path}."
            ) from None


def where_to_click(address: Address) -> list[str]:
    """Where a newcomer looks first, and what there is to press: of the first account, where there are several."""
    from calcom_pipeline.defs.described import known_accounts

    accounts, _ = known_accounts()
    if not accounts:  # each of them is an asset that says what is wrong with it
        return [f"  Look first:  {address.url}/assets"]
    first, ui = accounts[0], address.url
    named = f"CALCOM_ACCOUNT={first.name} " if first.prefix else ""
    return [
        f"  Look first:  {ui}/assets/{'/'.join(first.key('service_sync').path)}",
        "               what was last written to Cal.com, and which services need somebody",
        f"  Then press:  {ui}/locations/{_LOCATION}/jobs/{first.named(_FIRST_JOB)}",
        '               "Materialize all" there runs the whole loop once',
        f"  Next: {named}calcom-pipeline status --watch   (the same in another terminal)",
    ]


def _watching(url: str, log: "SharedLog") -> "InstanceWatch":
    """The watch over the instance, which holds the claim on its daemon; the pools of all accounts are made."""
    from calcom_pipeline.defs.described import known_accounts  # seconds of imports
    from calcom_pipeline.defs.maintenance.instance_watch import InstanceWatch
    from calcom_pipeline.defs.pools import make_pools

    watch = InstanceWatch(log.say)
    other = watch.begin(url)
    if other is not None:
        raise ConfigurationError(
            [f"The daemon of this Dagster instance is run by another calcom-pipeline up ({other})"],
            advice="Use that one, stop it, or name another database with DAGSTER_PG_URL.",
        )
    make_pools(account.pool for account in known_accounts()[0])
    return watch


@contextmanager
def _meeting_place(data: Path) -> Generator[Path]:
    """A folder, ours alone, for the code server's socket; a short one if the data folder's path is too long for it."""
    place = data / "up"
    if len(os.fsencode(place / "code.sock")) <= _SOCKET_PATH_BYTES:
        place.mkdir(0o700, exist_ok=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return
    with tempfile.TemporaryDirectory(prefix="calcom-up-") as short:
        yield Path(short)


def _services(address: Address, place: Path, watch: "InstanceWatch") -> list["SupervisedService"]:
    """The code server, and whoever asks it once it answers."""
    from calcom_pipeline.supervising.services import SupervisedService

    door, workspace = place / "code.sock", place / "workspace.yaml"
    location = {"grpc_server": {"socket": str(door), "location_name": _LOCATION}}
    workspace.write_text(json.dumps({"load_from": [location]}))  # JSON is YAML
    code = _CodeServer(door)
    python = [sys.executable, "-m"]
    named = ["--workspace", str(workspace)]
    served = ["--host", address.host, "--port", str(address.port), "--dagster-log-level", "info"]
    code_server = ["api", "grpc", "--socket", str(door), "--module-name", "calcom_pipeline.definitions"]
    return [
        SupervisedService(
            "code server",
            [
                *python,
                "calcom_pipeline.defs.code_server",
                *code_server,
                "--location-name",
                _LOCATION,
                "--log-level",
                "warning",
            ],
            before_start=code.forget,
        ),
        SupervisedService("webserver", [*python, "dagster_webserver", *named, *served], may_start=code.has_answered),
        SupervisedService(
            "daemon",
            [*python, "calcom_pipeline.defs.daemon", "run", *named, "--log-level", "info"],
            may_start=lambda: code.has_answered() and watch.may_run_daemon(),
        ),
    ]


def _receiver(settings: "Settings", address: Address, log: "SharedLog") -> list["SupervisedService"]:
    """The HTTP API with the receiver, to which the sandbox delivers; none where people have set up their own."""
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.bootstrap.locations import data_folder
    from calcom_pipeline.bootstrap.own_receiver import receiver_variables, subscribe
    from calcom_pipeline.settings import load_settings
    from calcom_pipeline.supervising.services import SupervisedService
    from calcom_pipeline.web.webhooks import PATH

    variables = receiver_variables(settings, data_folder(settings), path=PATH, ui_url=address.url)
    if variables is None:
        return []
    os.environ.update(variables)  # for Dagster's processes too, which keep the subscriptions right
    takes_deliveries = "CALCOM_WEBHOOK_URL" in variables
    if takes_deliveries:
        try:
            with ready_container(load_settings()) as container:
                log.say(f"{subscribe(container)} subscriptions of webhooks are right at the sandbox")
        except PipelineError as error:
            log.say(f"the sandbox's webhooks are not subscribed yet ({error}); a schedule tries again")
    where = f"http://{variables['CALCOM_HTTP_HOST']}:{variables['CALCOM_HTTP_PORT']}"
    if report := variables.get("CALCOM_REPORT_URL"):
        click.echo(f"Report: {report}/  (in sync or not, each service, what to do; live)")
    delivered = f"the sandbox's webhooks are delivered to {PATH}" if takes_deliveries else "webhooks are off"
    click.echo(f"HTTP API: {where}  ({delivered})")
    return [SupervisedService("receiver", [sys.executable, "-m", "calcom_pipeline.cli", "serve"], essential=False)]


class _CodeServer:
    """Whether the code server has answered once: later on, those that ask it wait for its return by themselves."""

    def __init__(self, door: Path) -> None:
        self._door = door
        self._answered = False

    def forget(self) -> None:
        """Clear the way for a new one."""
        self._door.unlink(missing_ok=True)

    def has_answered(self) -> bool:
        """It listens only after it has loaded the definitions."""
        if not self._answered:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_PING_SECONDS)
                self._answered = probe.connect_ex(str(self._door)) == 0
        return self._answered


def _joined(
    settings: "Settings", supervisor: "Supervisor", watch: "InstanceWatch", log: "SharedLog"
) -> "JoinedServers":
    """The embedded servers, joined again when their owner is killed; at a new address, everything is started anew."""
    from calcom_pipeline.bootstrap.joined_servers import JoinedServers

    def moved(url: str) -> None:
        os.environ["DAGSTER_PG_URL"] = url
        supervisor.environment = dict(os.environ)
        watch.moved(url)
        supervisor.restart_all()

    return JoinedServers(settings, os.environ["DAGSTER_PG_URL"], say=log.say, moved=moved)

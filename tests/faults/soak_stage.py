"""What a soak strikes: one `up` with three accounts, each with a receiver, over lines that can be cut, on a small disk.

Two accounts share a key of one user at Cal.com, the third has another user's. Servers, `up` and receivers are started
again by whoever looks after services, which is this.
"""

import http.client
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from calcom_pipeline import local
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.bootstrap.locations import SANDBOX
from calcom_pipeline.bootstrap.own_receiver import subscribe
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.settings import load_settings
from tests.faults.daemon_stage import Away, Stage
from tests.faults.soak_plan import LINES
from tests.support.commands import CHECKOUT, argv
from tests.support.own_dagster import make_home
from tests.support.stalling import Address, StallingProxy
from tests.support.up import wait_for
from tests.support.web import free_port

DISK_MEGABYTES: Final = 1024
LIMIT: Final = 240
EVENT_TYPES, BOOKINGS = 8, 300
OWNER, MEMBER = "owner", "member"
#: Account, and the key of the demo account that it has.
ACCOUNTS: Final = {"agency_a": OWNER, "agency_b": OWNER, "agency_c": MEMBER}
#: Event types of the member alone, whom the demo account gives none.
OF_MEMBER = 3
KEEP_SECONDS: Final = 0.3
_BLOCK = 4096
START_SECONDS: Final = 240  # of a run, instead of 120


class SmallDisk:
    """A folder of its own file system where mounting is allowed, so that it can be full; else an ordinary one."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(mode=0o711)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0711", "tmpfs", str(place)]
        try:
            self.is_small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except OSError:
            self.is_small = False

    def fill(self) -> None:
        """Not a block is left; what the file system promises may be a little more than it has."""
        with (self.place / "filler").open("ab") as file:
            step = os.statvfs(self.place).f_bavail * os.statvfs(self.place).f_frsize
            while step >= _BLOCK:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
                except OSError:
                    step //= 2

    def empty(self) -> None:
        """There is room again."""
        (self.place / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away."""
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self.place)], check=True)


@dataclass
class Receiver:
    """`serve` of one account, with its log."""

    account: str
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it if it does not run."""
        if self.process is not None and self.process.poll() is None:
            return
        environment = {**os.environ, "CALCOM_ACCOUNT": self.account, "CALCOM_HTTP_PORT": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv("serve"), env=environment, stdout=log, stderr=log)

    def end(self) -> None:
        """For good."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class SoakStage(Stage):
    """All of it, begun at once. The environment must hold what `environment` gives."""

    run_start_seconds = START_SECONDS

    def __init__(self, port: int, folder: Path, lines: dict[str, StallingProxy], disk: SmallDisk) -> None:
        self.folder, self.lines, self.disk = folder, lines, disk
        self.data = disk.place
        self._companion = companion(folder)
        self._receivers: list[Receiver] = []
        self._counted: dict[str, Counter[str]] = {}
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep_servers, daemon=True, name="keeper of the servers")
        self._keeper.start()
        wait_for(self._serves, 60)
        self.keys = self._prepare_account()
        self._prepare_accounts()
        super().__init__(port)
        for account, at in receiver_ports(folder).items():
            self._receivers.append(Receiver(account, at, folder / "logs" / f"receiver-{account}.log"))
            self._receivers[-1].keep()

    def keep(self) -> None:
        """Receivers and `up` are started again when they have ended; servers by a thread."""
        for receiver in self._receivers:
            receiver.keep()
        super().keep()

    def pids(self, kind: str) -> list[int]:
        if kind == "receiver":
            return [each.process.pid for each in self._receivers if each.process and each.process.poll() is None]
        return super().pids(kind)

    @property
    def calls(self) -> int:
        """Requests of our keys that a stand-in counted, as of the last `count`."""
        return sum(each["requests"] for each in self._counted.values())

    def count(self) -> None:
        """Requests of our keys, and those that Cal.com's limiter refused; what a fault refused is none of them.

        Each stand-in is counted by its address: a dead one by what was heard of it last.
        """
        with suppress(OSError, ValueError, http.client.HTTPException):
            url, control = self.sandbox()
            keys = control.counters()["keys"]
            ours = [keys[name] for name in (OWNER, MEMBER) if name in keys]
            counts = (Counter(requests=key["requests"], refused=key.get("refused", 0)) for key in ours)
            self._counted[url] = sum(counts, Counter[str]())
            self.refused = sum(each["refused"] for each in self._counted.values())

    def room(self) -> str:
        """How much of the small disk is taken, and how much the logs and Dagster's home beside it are, in megabytes."""
        found = [os.walk(self.folder / name) for name in ("home", "logs")]
        others = sum(_bytes(Path(place, name)) for each in found for place, _, names in each for name in names)
        return f"disk {shutil.disk_usage(self.data).used >> 20} MB, logs and home {others >> 20} MB"

    def end(self) -> None:
        """Everything but the servers, which nobody starts again."""
        for receiver in self._receivers:
            receiver.end()
        if self.up.process.poll() is None:
            self.up.stop()
        self._ending.set()
        self._keeper.join()

    # --- how it begins -------------------------------------------------------------------------------------

    def _keep_servers(self) -> None:
        """In a thread of its own: a start on a full disk takes as long as the disk is full.

        A stand-in that ended twice as it began, as it does on a full disk, is started when somebody asks for it again.
        """
        while not self._ending.wait(KEEP_SECONDS):
            published = Folder(self.data).published()
            if published is None or SANDBOX not in published.companions:
                with suppress(local.LocalServerError):  # the disk is full: tried again
                    local.up(self.data, companions=[self._companion])

    def _serves(self) -> bool:
        with suppress(Away):
            return bool(self.servers())
        return False

    def _prepare_account(self) -> dict[str, str]:
        """Limits of the keys, and event types of the member's own."""
        control = self.sandbox()[1]
        found = control.account()
        for name in (OWNER, MEMBER):
            control.mutate("set_key", name=name, limits=[{"hits": LIMIT}])
        for number in range(OF_MEMBER):
            body = {"title": f"Member {number}", "slug": f"member-{number}", "lengthInMinutes": 30}
            control.mutate("add_event_type", owner_id=found["users"][1]["id"], set=body)
        return found["keys"]

    def _prepare_accounts(self) -> None:
        """Files of the accounts, their tables, and their subscriptions."""
        for account, at in receiver_ports(self.folder).items():
            os.environ[f"KEY_OF_{account.upper()}"] = self.keys[ACCOUNTS[account]]
            describe(self.folder / "accounts", account, self.lines["Cal.com"].port, at)
        subprocess.run(argv("migrate", "--all"), env=dict(os.environ), check=True, capture_output=True)
        for account in ACCOUNTS:
            with ready_container(load_settings({**os.environ, "CALCOM_ACCOUNT": account})) as container:
                subscribe(container)


def _bytes(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0


def companion(folder: Path) -> local.Companion:
    """The stand-in as the owner of the servers keeps it; Cal.com's disk is not ours."""
    options = {
        "--account": "demo", "--event-types": EVENT_TYPES, "--teams": 1, "--bookings": BOOKINGS,
        "--state": folder / "sandbox.state", "--ready-file": "{ready_file}",
    }  # fmt: skip
    words = [str(word) for pair in options.items() for word in pair]
    return local.Companion(SANDBOX, (sys.executable, "-m", "calcom_pipeline.sandbox", "serve", "--control", *words))


def describe(accounts: Path, account: str, calcom_port: int, receiver_port: int) -> None:
    """The file of one account, with what its receiver is to be told in the environment."""
    os.environ[f"HOOK_OF_{account.upper()}"] = f"hook-secret-of-{account}-0123456789abcdef"
    attributes: dict[str, Any] = {
        "api_key": {"variable": f"KEY_OF_{account.upper()}"},
        "webhook_secret": {"variable": f"HOOK_OF_{account.upper()}"},
        "webhook_url": f"http://127.0.0.1:{receiver_port}/webhooks/calcom",
        "base_url": f"http://127.0.0.1:{calcom_port}/v2",
        "rate_limit_per_minute": LIMIT,
        "apply": "auto",
        "brake_minimum": 1000,
        # A run is seconds of CPU, and there are three accounts; a fault of a listing waits for the next look.
        "look_seconds": 30,
        "booking_look_seconds": 45,
        "booking_longest_look_seconds": 45,
        "event_type_look_seconds": 90,
    }
    (accounts / account).mkdir(parents=True)
    file = accounts / account / "defs.yaml"
    file.write_text(yaml.safe_dump({"type": "calcom_pipeline.CalcomAccount", "attributes": attributes}))


def receiver_ports(folder: Path) -> dict[str, int]:
    """Where each account's receiver listens: the same for the whole soak."""
    file = folder / "ports.yaml"
    if not file.exists():
        file.write_text(yaml.safe_dump({account: free_port() for account in ACCOUNTS}))
    return yaml.safe_load(file.read_text())


@contextmanager
def lines_to(data: Path) -> Generator[dict[str, StallingProxy]]:
    """The four lines by name, to wherever the servers are when somebody connects."""

    def sandbox() -> Address:
        published = Folder(data).published()
        if published is None or SANDBOX not in published.companions:
            raise Away("Cal.com is away")
        host, _, port = published.companions[SANDBOX].split("/")[2].partition(":")
        return host, int(port)

    def socket_named(name: str) -> Path:
        published = Folder(data).published()
        if published is None:
            raise Away("the embedded servers are away")
        return Path(published.sockets) / name

    postgres = lambda: socket_named(".s.PGSQL.5432")  # noqa: E731
    servers = (sandbox, postgres, postgres, lambda: socket_named("valkey.sock"))
    with ExitStack() as stack:
        lines = {name: StallingProxy(server) for name, server in zip(LINES, servers, strict=True)}
        for line in lines.values():
            stack.callback(line.close)
        yield lines


def environment(folder: Path, data: Path, lines: dict[str, StallingProxy]) -> dict[str, str]:
    """What all processes are told."""
    calcom, database, dagster, redis = (lines[name].port for name in LINES)
    del calcom  # it stands in the accounts' files
    (folder / "clock").write_text("0")
    (folder / "logs").mkdir()
    home = make_home(folder / "home")
    instance = yaml.safe_load((home / "dagster.yaml").read_text())
    # Three accounts begin runs at once, on a machine that others use too: a start may take minutes.
    instance["run_monitoring"]["start_timeout_seconds"] = START_SECONDS
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    return {
        "CALCOM_ENV_FILE": "",
        "CALCOM_ACCOUNTS_DIR": str(folder / "accounts"),
        "CALCOM_DATA_DIR": str(data),
        "DAGSTER_HOME": str(home),
        "DATABASE_URL": f"postgresql://calcom@127.0.0.1:{database}/calcom",
        "DAGSTER_PG_URL": f"postgresql+psycopg2://calcom@127.0.0.1:{dagster}/dagster",
        "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "DAGSTER_GRPC_TIMEOUT_SECONDS": str(START_SECONDS),
        "SOAK_CLOCK": str(folder / "clock"),
        "PYTHONPATH": f"{CHECKOUT / 'tests' / 'faults' / 'soak_clock'}{os.pathsep}{CHECKOUT}",
    }

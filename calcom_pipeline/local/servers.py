"""The servers: how each is prepared, started, asked whether it lives, and stopped."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from calcom_pipeline.local import probes
from calcom_pipeline.local.folder import sync, write_whole
from calcom_pipeline.local.logs import reason_line
from calcom_pipeline.local.places import Home, make_private
from calcom_pipeline.local.processes import Command, Mark, spawn
from calcom_pipeline.local.programs import POSTGRES_MAJOR
from calcom_pipeline.local.values import (
    DAGSTER_DATABASE,
    DATABASE,
    POSTGRES_SOCKET,
    VALKEY_SOCKET,
    LocalServerError,
    full_disk,
)

ADMINISTRATOR = "postgres"  # the cluster's superuser; the pipeline's own role is none
CLUSTER_FREE_BYTES = 128 << 20  # what a new cluster, its first WAL and both databases need, with some room
INITDB_TRIES = 3  # it may have been killed
INITDB_SECONDS = 120.0  # it takes one; a slow or busy disk gets this much
SHARED_BUFFERS = "128MB"
MAX_CONNECTIONS = 200  # Dagster opens several per process, tests run side by side

Ways = Sequence[tuple[signal.Signals, float]]
"""Signals that end a server, the gentle one first, each with the seconds it is given."""

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}  # none of the caller's PG* variables


class Server(Protocol):
    """One server that is kept running."""

    @property
    def name(self) -> str:
        """Names its log."""
        ...

    @property
    def title(self) -> str:
        """Its name in sentences."""
        ...

    @property
    def mark(self) -> Mark:
        """What its processes are known by."""
        ...

    @property
    def ways_to_end(self) -> Ways:
        """How it is stopped."""
        ...

    def leaders(self, pids: list[int]) -> list[int]:
        """Those of its processes that are asked to stop; the others follow them."""
        ...

    def prepare(self) -> None:
        """Make ready for a start, when none of its processes is left."""
        ...

    def command(self) -> Command:
        """How it is started."""
        ...

    def lives(self) -> bool:
        """Whether it answers."""
        ...

    def is_reachable(self) -> bool:
        """Whether its socket is still there: somebody may have cleaned up too well."""
        ...


class Postgres:
    """PostgreSQL, on a socket only; the kernel tells it who calls ("peer"), so there are no passwords."""

    name = "postgres"
    title = "PostgreSQL"
    ways_to_end: Ways = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast shutdown, then immediate

    def __init__(self, home: Home, *, durable: bool) -> None:
        self._home = home
        self._durable = durable
        self._cluster = home.base / "postgres"
        self._access = home.base / "access"  # not in the cluster: root must not write where `nobody` may
        self.mark = Mark(self._cluster, frozenset({"postgres"}))

    def leaders(self, pids: list[int]) -> list[int]:
        """The postmaster: a SIGINT would mean other things to its children."""
        return postmaster(self._cluster, pids)

    def make_cluster(self) -> None:
        """Make the cluster, whole or not at all; refuses one that another major version made."""
        unfinished = self._cluster.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        if self._cluster.exists():
            self._check_version()
            return
        self._check_room()
        why: str | None = None
        for _ in range(INITDB_TRIES):
            try:
                make_private(unfinished, self._home.user)
                why = self._initdb(unfinished)
                if why is None:
                    unfinished.rename(self._cluster)
                    sync(self._cluster.parent)
                    return
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        raise LocalServerError(why)

    def prepare(self) -> None:
        """Write who gets in, and drop the lock files of the dead.

        PostgreSQL itself refuses to start if the process id in such a file is alive, whoever it is now.
        """
        self._access.mkdir(exist_ok=True)
        self._access.chmod(0o711)
        _keep_text(self._access / "pg_hba.conf", "local all all peer map=local\n")
        callers = sorted({_user_name(os.geteuid()), _user_name(0)})
        names = [(caller, role) for caller in callers for role in (ADMINISTRATOR, DATABASE)]
        lines = (f'local "{caller.replace(chr(34), chr(34) * 2)}" {role}\n' for caller, role in names)
        _keep_text(self._access / "pg_ident.conf", "".join(lines))
        socket = self._home.sockets / POSTGRES_SOCKET
        for stale in (self._cluster / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
            stale.unlink(missing_ok=True)

    def command(self) -> Command:
        """All settings are arguments: they move with the folder, and none can be half-written."""
        on_disk = "on" if self._durable else "off"
        quoted_folder = str(self._home.sockets).replace('"', '""')
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{quoted_folder}"',
            "unix_socket_permissions": "0700",
            "hba_file": str(self._access / "pg_hba.conf"),
            "ident_file": str(self._access / "pg_ident.conf"),
            "shared_buffers": SHARED_BUFFERS,
            "max_connections": str(MAX_CONNECTIONS),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "autovacuum": "on",
            "fsync": on_disk,
            "full_page_writes": on_disk,
            # Statements and error details hold attendees' addresses: only the server's own state is logged.
            "log_min_messages": "log",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        arguments = [argument for item in settings.items() for argument in ("-c", "=".join(item))]
        return Command(
            [str(self._home.programs.postgres), "-D", str(self._cluster), *arguments],
            self._cluster,
            _ENVIRONMENT,
            self._home.user,
            signal.SIGINT,
        )

    def lives(self) -> bool:
        """Both databases answer; those that are missing are made first."""
        if all(self._answers(DATABASE, database) for database in (DATABASE, DAGSTER_DATABASE)):
            return True
        if self._answers(ADMINISTRATOR, ADMINISTRATOR):
            self._make_databases()
        return False

    def is_reachable(self) -> bool:
        """Whether the socket is there."""
        return (self._home.sockets / POSTGRES_SOCKET).exists()

    def _answers(self, role: str, database: str) -> bool:
        return probes.postgres_answers(self._home.sockets, role=role, database=database)

    def _make_databases(self) -> None:
        import psycopg  # loaded on a first start only

        try:
            with psycopg.connect(
                host=str(self._home.sockets), user=ADMINISTRATOR, dbname=ADMINISTRATOR, autocommit=True
            ) as connection:
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [DATABASE]).fetchone():
                    connection.execute(f"CREATE ROLE {DATABASE} LOGIN CREATEDB CREATEROLE")
                for name in (DATABASE, DAGSTER_DATABASE):
                    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                        connection.execute(f"CREATE DATABASE {name} OWNER {DATABASE}")
        except psycopg.errors.DiskFull as error:
            raise LocalServerError(full_disk(self._home.base, str(error)) or str(error)) from error
        except psycopg.OperationalError:
            return  # it went away again: asked again in the next round

    def _check_version(self) -> None:
        try:
            version = (self._cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise LocalServerError(f"{self._cluster} holds no PostgreSQL data: move it away, then try again") from None
        if version != str(POSTGRES_MAJOR):
            raise LocalServerError(
                f"{self._cluster} was made by PostgreSQL {version} and this is {POSTGRES_MAJOR}: "
                f"carry its data over with pg_dump of that version, or move it away to begin empty"
            )

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._home.base).free
        if free < CLUSTER_FREE_BYTES:
            raise LocalServerError(
                f"No room left for the local servers in {self._home.base}: {free >> 20} MB are free and a new "
                f"database takes {CLUSTER_FREE_BYTES >> 20} MB: free some space, then try again"
            )

    def _initdb(self, target: Path) -> str | None:
        """Fill the empty folder; why it failed, if it did."""
        argv = [
            str(self._home.programs.initdb),
            f"--pgdata={target}",
            f"--username={ADMINISTRATOR}",
            "--auth=peer",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        process = spawn(Command(argv, target, _ENVIRONMENT, self._home.user, signal.SIGTERM), subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LocalServerError(
                f"Making PostgreSQL's data in {target.parent} took more than {INITDB_SECONDS:g} s: "
                f"is the disk that slow? Try again, or choose a folder on another one"
            ) from None
        if not process.returncode:
            return None
        reason = reason_line(output.decode(errors="replace")) or "it gave no reason"
        return full_disk(self._home.base, reason) or f"PostgreSQL's data could not be made: {reason}"


class Valkey:
    """Valkey, on a socket only; every write goes to its append-only file."""

    name = "valkey"
    title = "Valkey"
    ways_to_end: Ways = ((signal.SIGTERM, 15.0),)

    def __init__(self, home: Home, *, durable: bool) -> None:
        self._home = home
        self._durable = durable
        self._folder = home.base / "valkey"
        self._socket = home.sockets / VALKEY_SOCKET
        self.mark = Mark(self._folder, frozenset({"valkey-server"}))

    def leaders(self, pids: list[int]) -> list[int]:
        """All: a child that rewrites the file is no use without its parent."""
        return pids

    def prepare(self) -> None:
        """Make its folder."""
        make_private(self._folder, self._home.user)
        self._socket.unlink(missing_ok=True)

    def command(self) -> Command:
        """Durable: the file is forced to the disk every second; else when the system likes."""
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec" if self._durable else "no",
            "save": "",
            "set-proc-title": "no",  # its command line is how it is known where there is no /proc
        }
        arguments = [argument for name, value in settings.items() for argument in (f"--{name}", value)]
        argv = [str(self._home.programs.valkey), *arguments]
        return Command(argv, self._folder, _ENVIRONMENT, self._home.user, signal.SIGTERM)

    def lives(self) -> bool:
        """Whether PING is answered."""
        return probes.valkey_answers(self._home.sockets)

    def is_reachable(self) -> bool:
        """Whether the socket is there."""
        return self._socket.exists()


def postmaster(cluster: Path, pids: list[int]) -> list[int]:
    """The one of these PostgreSQL processes that is the head of the others, if it is among them."""
    with suppress(OSError, ValueError, IndexError):
        head = int((cluster / "postmaster.pid").read_text().splitlines()[0])
        return [head] if head in pids else []
    return []


def _keep_text(path: Path, text: str) -> None:
    """Write a file that the servers' user may read, unless it is as it should be (the disk may be full)."""
    if not path.exists() or path.read_text() != text:
        write_whole(path, text)
    path.chmod(0o644)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise LocalServerError(
            f"PostgreSQL needs a user with a name and {uid} has none here (see /etc/passwd): "
            f"work as a named user, or point DATABASE_URL at a server of your own"
        ) from None

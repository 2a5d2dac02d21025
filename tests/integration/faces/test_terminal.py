"""What a person at a terminal is helped with: progress with a pace, next steps, Tab, a view that renews itself."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime, timedelta

import click
import psycopg
import pytest
from rich.cells import cell_len

from calcom_pipeline import local
from calcom_pipeline.cli import cli, exit_codes
from calcom_pipeline.cli.console import Output
from calcom_pipeline.cli.next_steps import NEXT
from calcom_pipeline.cli.progress import LINE_EVERY_SECONDS, Pace, WaitForTurn, duration, lines
from calcom_pipeline.cli.watching import repeat
from tests.support.commands import argv, bare, command, warm

ROWS, COLUMNS = 24, 80
_ORDERS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
#: They serve until they are stopped, and say when they begin where to look; `sandbox serve` is for programs.
SERVERS = {"up", "serve", "sandbox serve"}


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> list[str]:
    """Every command by its words."""
    found: list[str] = []
    for name, one in group.commands.items():
        found += leaves(one, (*words, name)) if isinstance(one, click.Group) else [" ".join((*words, name))]
    return found


class Turns:
    """A limiter that says how long a turn is away."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    def seconds_until_available(self) -> float:
        self.asked += 1
        return self.seconds


class TestPace:
    def test_rate_and_time_left_come_from_what_was_done(self):
        pace = Pace(began=0.0)
        pace.note(100, 400, 10.0)
        assert (pace.per_minute(10.0), pace.seconds_left(10.0)) == (600, 30)
        assert pace.summary(10.0) == "600 a minute, 30 s left"

    def test_a_wait_counts(self):
        """A block of a minute at half of the way makes the rest take a minute more."""
        pace = Pace(began=0.0)
        pace.note(100, 200, 10.0)
        assert pace.seconds_left(10.0) == 10
        assert pace.seconds_left(70.0) == 70

    def test_a_new_part_has_a_pace_of_its_own(self):
        pace = Pace(began=0.0)
        pace.note(5000, 5000, 50.0)
        pace.note(1, 10, 52.0)
        assert (pace.per_minute(52.0), pace.seconds_left(52.0)) == (30, 18)

    @pytest.mark.parametrize("total", [None, 0])
    def test_where_the_end_is_not_known_no_time_is_promised(self, total: int | None):
        pace = Pace(began=0.0)
        assert pace.summary(1.0) == ""
        pace.note(30, total, 60.0)
        assert pace.summary(60.0) == "30 a minute"

    def test_what_is_done_has_no_pace_any_more(self):
        pace = Pace(began=0.0)
        pace.note(9, 9, 3.0)
        assert pace.summary(30.0) == ""

    @pytest.mark.parametrize(
        ("seconds", "said"), [(0.4, "0 s"), (41, "41 s"), (90, "2 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min")]
    )
    def test_durations_are_said_as_people_say_them(self, seconds: float, said: str):
        assert duration(seconds) == said


class TestWaitForTheLimit:
    def test_what_stands_still_says_that_it_waits_and_how_long(self):
        pace, turns = Pace(began=0.0), Turns(43)
        waiting = WaitForTurn(turns)
        pace.note(1, 9, 1.0)
        assert waiting.message(pace, 2.0) == "", "it has just moved"
        assert turns.asked == 0
        assert waiting.message(pace, 4.0) == "waiting for the limit, 43 s"
        waiting.message(pace, 4.5)
        assert turns.asked == 1, "it is asked once a second at most"

    def test_what_stands_still_for_another_cause_does_not(self):
        assert WaitForTurn(Turns(0)).message(Pace(began=0.0), 60.0) == ""


def test_a_pipe_is_told_now_and_then():
    said: list[str] = []
    now = [0.0]
    report = lines("Bookings", said.append, None, clock=lambda: now[0])
    for done in range(1, 101):
        now[0] += 1
        report(done, 200, "bookings")
    assert len(said) == 100 // LINE_EVERY_SECONDS
    assert said[0] == "Bookings: 30 of 200 bookings, 60 a minute, 3 min left"


class Terminal:
    """A terminal of 80 by 24."""

    def __init__(self) -> None:
        import fcntl
        import struct
        import termios

        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def run(self, words: list[str], environment: dict[str, str]) -> str:
        """What is written there."""
        variables = bare({"TERM": "xterm-256color", **environment})
        seen = b""
        with subprocess.Popen(words, env=variables, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs):
            os.close(self.theirs)
            with suppress(OSError):  # the other end is closed
                while more := os.read(self._ours, 65_536):
                    seen += more
        os.close(self._ours)
        return seen.decode()


_STEP_OF_DAGSTER = """
import os, sys
from calcom_pipeline.cli.console import Output
with Output(as_json=False).progress("Syncing") as report:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2), os.dup2(log, 1)
    report(3, 12, "slots of event type 7")
"""


def test_the_bar_is_seen_while_a_step_of_dagster_keeps_standard_error_for_its_log(tmp_path):
    """It went into the step's log, and the demo stood still for a minute."""
    seen = Terminal().run([sys.executable, "-c", _STEP_OF_DAGSTER, str(tmp_path / "log")], {})
    assert "slots of event type 7" in seen
    assert "3/12" in seen
    assert " a minute" in seen
    assert (tmp_path / "log").read_bytes() == b""


class TestPlanOnAScreen:
    def test_three_changes_among_many_services_fit_80_by_24_with_their_next_step(
        self, environment: dict[str, str], servers: local.Servers, schema_name: str
    ):
        command("migrate", environment=environment)
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(
                f'INSERT INTO "{schema_name}".services (name, slug, duration_minutes) '
                "SELECT 'Service ' || n, 'service-' || n, 30 FROM generate_series(1, 40) n"
            )
            command("sync", "services", environment=environment)
            connection.execute(f"""UPDATE "{schema_name}".services SET name = repeat('long name ', 20) WHERE id = 7""")
            connection.execute(f'UPDATE "{schema_name}".services SET is_active = false WHERE id = 9')
            connection.execute(
                f'INSERT INTO "{schema_name}".services (name, slug, duration_minutes) VALUES (%s, %s, 45)',
                ("Massage", "massage"),
            )
        seen = Terminal().run(argv("plan"), environment)
        shown = _ORDERS.sub("", seen).replace("\r", "\n").split("\n")
        told = [line for line in shown if line.strip() and "Planning" not in line]
        assert len(told) < ROWS, told
        assert all(cell_len(line) <= COLUMNS for line in told)
        assert "1 to create, 1 to change, 1 to hide, 38 in sync." in told
        assert any(line.startswith("  Next: calcom-pipeline apply ") for line in told)
        assert "\x1b[32m+ 41 Massage" in seen, "what is created is green"


class TestNextSteps:
    @pytest.mark.parametrize("words", sorted(set(leaves(cli)) - SERVERS))
    def test_every_command_has_one_that_exists(self, words: str):
        step = NEXT[words]
        assert step.why
        named = re.search(r"calcom-pipeline ((?:[a-z][a-z-]+ ?)+)", step.command)
        assert named, step.command
        assert any(f"{named[1].strip()} ".startswith(f"{leaf} ") for leaf in leaves(cli)), step.command

    def test_none_is_of_a_command_that_is_gone(self):
        assert set(NEXT) <= set(leaves(cli))

    @pytest.mark.parametrize("words", [["status"], ["sync", "event-types"], ["migrate"], ["quarantine", "list"]])
    def test_it_is_the_last_line_and_in_the_json(self, words: list[str], environment: dict[str, str]):
        done = command(*words, environment=environment)
        assert "  Next: calcom-pipeline " in done.stdout.splitlines()[-1]
        assert json.loads(command(*words, "--json", environment=environment).stdout)["next"]

    def test_a_shell_that_evaluates_the_output_takes_it_for_a_comment(self, environment: dict[str, str]):
        shown = command("migrate", "--print", environment=environment).stdout
        assert shown.splitlines()[-1].startswith("-- Next: ")
        script = command("completion", "bash", environment=environment).stdout
        assert script.splitlines()[-1].startswith("# Next: ")


class TestCompletion:
    def complete(self, *words: str) -> set[str]:
        asked = {"_CALCOM_PIPELINE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words)}
        done = warm(environment={**asked, "COMP_CWORD": str(len(words) - 1)})
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    def test_commands_and_options_are_completed(self):
        assert self.complete("calcom-pipeline", "pl") == {"plan"}
        assert "--detailed-exitcode" in self.complete("calcom-pipeline", "plan", "--de")
        assert self.complete("calcom-pipeline", "sync", "bo") == {"bookings"}

    def test_the_script_of_bash_is_one_that_bash_takes(self, environment: dict[str, str]):
        script = command("completion", "bash", environment=environment).stdout
        done = subprocess.run(
            ["bash", "-c", 'eval "$1" && complete -p calcom-pipeline', "_", script],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "_calcom_pipeline_completion" in done.stdout

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_other_shells_have_theirs(self, shell: str, environment: dict[str, str]):
        assert (
            f"_CALCOM_PIPELINE_COMPLETE={shell}_complete"
            in command("completion", shell, environment=environment).stdout
        )


class TestWatch:
    def test_it_shows_again_and_again_until_it_is_interrupted(self):
        looks: list[int] = []
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                raise KeyboardInterrupt

        clock = iter(datetime(2026, 11, 29, 12, tzinfo=UTC) + timedelta(seconds=5 * n) for n in range(9))
        shown = io.StringIO()
        with redirect_stdout(shown):
            repeat(
                Output(as_json=False),
                lambda: looks.append(1),
                every_seconds=5,
                now=lambda: next(clock),
                wait=wait,
            )
        assert (len(looks), waits) == (3, [5, 5, 5])
        assert shown.getvalue().splitlines()[1] == "2026-11-29 12:00:05 UTC, every 5 s; Ctrl-C ends it"

    def test_a_program_gets_one_object_a_look_and_an_interrupt_is_its_good_end(
        self, environment: dict[str, str], tmp_path
    ):
        command("migrate", environment=environment)
        told = tmp_path / "told"
        script = f"exec {' '.join(argv('status', '--watch', '--every', '0.5', '--json'))} > {told}"
        with subprocess.Popen(["bash", "-c", script], env=bare(environment)) as running:
            while not told.exists() or told.read_text().count("\n") < 2:
                assert running.poll() is None, "it ended before it was interrupted"
                time.sleep(0.02)
            running.send_signal(2)
            assert running.wait(30) == exit_codes.OK
        first, second, *_ = [json.loads(line) for line in told.read_text().splitlines()]
        assert first["command"] == second["command"] == "status"

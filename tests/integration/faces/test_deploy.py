"""The example unit of systemd: it says what the command line understands, and systemd understands it."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from calcom_pipeline.cli import cli, exit_codes
from calcom_pipeline.settings import load_settings
from calcom_pipeline.supervising.supervisor import GRACE_SECONDS
from tests.support.commands import CHECKOUT

UNIT = CHECKOUT / "deploy" / "calcom-pipeline.service"
SYSTEMD = shutil.which("systemd-analyze")


class _Unit(configparser.RawConfigParser):
    """systemd's format: names are case-sensitive, and `Environment` stands there more than once."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        self.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = _Unit()
    unit.read_string(UNIT.read_text())
    return unit["Service"]


def environment() -> dict[str, str]:
    lines = [line.removeprefix("Environment=") for line in UNIT.read_text().splitlines()]
    written = [line for line in lines if line.startswith("CALCOM_")]
    return dict(line.split("=", 1) for line in written)


@pytest.mark.parametrize("name", ["ExecStart", "ExecStartPre"])
def test_its_commands_are_ones_that_the_command_line_understands(name: str, service: configparser.SectionProxy):
    program, command, *options = shlex.split(service[name])
    assert Path(program).name == "calcom-pipeline"
    found = cli.commands[command]
    assert found.make_context(command, options, resilient_parsing=False)
    with pytest.raises(click.exceptions.NoSuchOption):
        found.make_context(command, ["--no-such-option"])


def test_its_variables_are_settings_and_demand_what_production_needs():
    given = {
        "CALCOM_API_KEY": "cal_x",
        "DATABASE_URL": "postgresql://user@host/database",
        "REDIS_URL": "redis://host",
    }
    settings = load_settings({**environment(), **given})
    assert settings.local == "never"
    assert str(settings.data_dir) == "/var/lib/calcom-pipeline"


def test_it_is_started_again_except_after_what_only_a_person_can_mend(service: configparser.SectionProxy):
    assert service["Restart"] == "always"
    never = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert never == {exit_codes.USAGE, exit_codes.CONFIGURATION, exit_codes.UNAUTHORIZED}
    assert exit_codes.DATABASE not in never, "PostgreSQL comes back"


def test_it_gives_up_as_long_as_it_takes_to_end_its_processes(service: configparser.SectionProxy):
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 2 * GRACE_SECONDS


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not on this machine")
def test_systemd_understands_it(tmp_path: Path):
    """Its programs and its user are not on this machine, so those are replaced."""
    text = UNIT.read_text().replace("/opt/calcom-pipeline/bin/calcom-pipeline", "/bin/true")
    (tmp_path / UNIT.name).write_text(text.replace("User=calcom\n", ""))
    assert SYSTEMD is not None
    verified = subprocess.run([SYSTEMD, "verify", tmp_path / UNIT.name], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert UNIT.name not in verified.stderr

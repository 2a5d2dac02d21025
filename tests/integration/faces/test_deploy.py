"""The example units of systemd: they say what the command line understands, write where they may, and really start."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from calcom_pipeline.bootstrap import dagster_instance
from calcom_pipeline.bootstrap.deliveries import DeliveryGroup
from calcom_pipeline.bootstrap.locations import data_folder
from calcom_pipeline.cli import cli, exit_codes
from calcom_pipeline.settings import load_settings
from calcom_pipeline.supervising.supervisor import GRACE_SECONDS
from tests.support.commands import CHECKOUT, command
from tests.support.deliveries import SECRET, delivery_body, post
from tests.support.serving import serving
from tests.support.web import free_port

DEPLOY = CHECKOUT / "deploy"
UP, SERVE, SOCKET = "calcom-pipeline.service", "calcom-pipeline-serve.service", "calcom-pipeline-serve.socket"
SYSTEMD = shutil.which("systemd-analyze")


class _Unit(configparser.RawConfigParser):
    """systemd's format: names are case-sensitive, and `Environment` stands there more than once."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        self.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]


def unit(name: str) -> configparser.RawConfigParser:
    read = _Unit()
    read.read_string((DEPLOY / name).read_text())
    return read


@pytest.fixture
def service() -> configparser.SectionProxy:
    return unit(UP)["Service"]


def environment_of(name: str) -> dict[str, str]:
    lines = [line.removeprefix("Environment=") for line in (DEPLOY / name).read_text().splitlines()]
    written = [line for line in lines if line.startswith("CALCOM_")]
    return dict(line.split("=", 1) for line in written)


@pytest.mark.parametrize(("name", "line"), [(UP, "ExecStart"), (UP, "ExecStartPre"), (SERVE, "ExecStart")])
def test_its_commands_are_ones_that_the_command_line_understands(name: str, line: str):
    program, what, *options = shlex.split(unit(name)["Service"][line])
    assert Path(program).name == "calcom-pipeline"
    found = cli.commands[what]
    assert found.make_context(what, options, resilient_parsing=False)
    with pytest.raises(click.exceptions.NoSuchOption):
        found.make_context(what, ["--no-such-option"])


@pytest.mark.parametrize("name", [UP, SERVE])
def test_its_variables_are_settings_and_all_it_writes_is_where_it_may_write(name: str, monkeypatch: pytest.MonkeyPatch):
    """Everything but its state folder and a /tmp of its own is read-only to it. It is installed, and no checkout."""
    monkeypatch.setattr(dagster_instance, "in_checkout", lambda: False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    given = {
        "CALCOM_API_KEY": "cal_x",
        "DATABASE_URL": "postgresql://user@host/database",
        "REDIS_URL": "redis://host",
    }
    own = {key: value for key, value in environment_of(name).items() if key != "CALCOM_ENV_FILE"}
    settings = load_settings({**own, **given, "CALCOM_ENV_FILE": ""})
    section = unit(name)["Service"]
    assert settings.local == "never"
    assert (section["ProtectSystem"], section["PrivateTmp"]) == ("strict", "yes")
    state = Path("/var/lib") / section["StateDirectory"]
    spool = DeliveryGroup(settings, endpoints=None, database=None, pools=None).spool._folder  # type: ignore[arg-type]
    for written in (data_folder(settings), spool, dagster_instance.home_folder(settings)):
        assert written.is_relative_to(state)


def test_both_units_read_one_file_of_settings_and_share_no_folder():
    assert unit(UP)["Service"]["EnvironmentFile"] == environment_of(SERVE)["CALCOM_ENV_FILE"]
    assert unit(UP)["Service"]["User"] == unit(SERVE)["Service"]["User"]
    assert unit(UP)["Service"]["StateDirectory"] != unit(SERVE)["Service"]["StateDirectory"]


def test_the_socket_is_the_one_that_serve_asks_for_and_where_it_listens_unless_told_otherwise():
    assert unit(SERVE)["Unit"]["Requires"] == SOCKET
    settings = load_settings({"CALCOM_ENV_FILE": ""})
    assert unit(SOCKET)["Socket"]["ListenStream"] == f"{settings.http_host}:{settings.http_port}"


def test_serve_starts_as_its_unit_says_and_keeps_deliveries_in_its_state_folder(
    environment: dict[str, str], tmp_path: Path
):
    """PostgreSQL is away, as it may be when the machine starts."""
    state, file = tmp_path / "state", tmp_path / "calcom-pipeline.env"
    state.mkdir(mode=0o700)
    away = {"DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    said = environment | away | {"CALCOM_WEBHOOK_SECRET": SECRET.decode()}
    file.write_text("".join(f"{name}={value}\n" for name, value in said.items() if name != "CALCOM_ENV_FILE"))
    own = environment_of(SERVE) | {"CALCOM_ENV_FILE": str(file), "CALCOM_DATA_DIR": str(state)}
    _, what, *options = shlex.split(unit(SERVE)["Service"]["ExecStart"])
    assert what == "serve"
    with serving(own, *options) as (process, port):
        assert post(f"http://127.0.0.1:{port}/webhooks/calcom", delivery_body("u1")) == 200
        assert len(list(state.rglob("*.spooled"))) == 1
        process.terminate()
        process.communicate(timeout=40)


def test_the_schema_is_made_before_up_as_its_unit_says(environment: dict[str, str], tmp_path: Path):
    """systemd itself reads the file there, and `CALCOM_ENV_FILE=` has nothing else read."""
    own = environment | environment_of(UP) | {"CALCOM_DATA_DIR": str(tmp_path)}
    _, *words = shlex.split(unit(UP)["Service"]["ExecStartPre"])
    assert "schema" in command(*words, environment=own).stdout.lower()


def test_it_is_started_again_except_after_what_only_a_person_can_mend(service: configparser.SectionProxy):
    assert service["Restart"] == "always"
    never = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert never == {exit_codes.USAGE, exit_codes.CONFIGURATION, exit_codes.UNAUTHORIZED}
    assert exit_codes.DATABASE not in never, "PostgreSQL comes back"


def test_it_gives_up_as_long_as_it_takes_to_end_its_processes(service: configparser.SectionProxy):
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 2 * GRACE_SECONDS


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not on this machine")
@pytest.mark.parametrize("name", [UP, SERVE, SOCKET])
def test_systemd_understands_it(tmp_path: Path, name: str):
    """Its programs and its user are not on this machine, so those are replaced."""
    for each in (UP, SERVE, SOCKET):
        text = (DEPLOY / each).read_text().replace("/opt/calcom-pipeline/bin/calcom-pipeline", "/bin/true")
        (tmp_path / each).write_text(text.replace("User=calcom\n", ""))
    assert SYSTEMD is not None
    verified = subprocess.run([SYSTEMD, "verify", tmp_path / name], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert "calcom-pipeline" not in verified.stderr

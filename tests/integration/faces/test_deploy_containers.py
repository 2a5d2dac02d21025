"""deploy/: what a container engine would be told. There is none here, so it is held against schemas and our own words.

`compose_spec.json` is the Compose Specification's schema as docker-compose 1.29.2 ships it (Apache-2.0).
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from calcom_pipeline.cli import cli
from calcom_pipeline.settings import Settings, load_settings, variable_of
from calcom_pipeline.settings.model import SECRET_FIELDS
from tests.support.commands import CHECKOUT
from tests.support.json_schemas import validator_of

DEPLOY = CHECKOUT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("calcom-pipeline:")}
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
DEPLOYMENT: dict[str, Any] = VALUES["dagster-user-deployments"]["deployments"][0]
ONCE = {"migrate", "roles"}


def is_setting(name: str) -> bool:
    fields = {variable_of(field): field for field in Settings.model_fields}
    plain = name.removesuffix("_FILE") if name not in fields else name
    return plain in fields and (plain == name or fields[plain] in SECRET_FIELDS)


def test_the_compose_file_is_what_the_specification_s_schema_wants():
    schema = json.loads((CHECKOUT / "tests" / "contract" / "compose_spec.json").read_text())
    errors = [f"{list(e.path)}: {e.message}" for e in validator_of(schema, "Draft201909Validator").iter_errors(COMPOSE)]
    assert errors == []
    spoiled = {**COMPOSE, "services": {"x": {"imag": "y"}}}
    assert list(validator_of(schema, "Draft201909Validator").iter_errors(spoiled)), "the schema refuses what is wrong"


def test_it_has_every_part():
    parts = {"postgres", "redis", "migrate", "roles", "code-location", "webserver", "daemon", "receiver"}
    assert parts == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_no_process_is_root_or_may_become_it_or_write_outside_of_volumes(name: str):
    service = SERVICES[name]
    assert str(service["user"]).split(":")[0] not in ("", "0", "root")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", ()))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_what_runs_for_good_is_looked_at_and_started_again(name: str):
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_who_needs_another_waits_until_it_is_well_or_done():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how["condition"] == wanted, (name, other)


def test_secrets_are_files_and_nothing_else():
    names = set(COMPOSE["secrets"])
    assert all(secret == {"file": f"./secrets/{name}"} for name, secret in COMPOSE["secrets"].items())
    for name, service in SERVICES.items():
        given = set(service.get("secrets", ()))
        assert given <= names, name
        told = {
            value.rsplit("/", 1)[-1] for value in service.get("environment", {}).values() if "/run/secrets/" in value
        }
        assert told <= given, f"{name} names a secret that it is not given"
        for variable in service.get("environment", {}):
            assert variable.removeprefix("CALCOM_").lower() not in SECRET_FIELDS, (name, variable)
        read = set(re.findall(r"/run/secrets/(\w+)", json.dumps(service)))
        assert read <= given, name
    ignored = (DEPLOY / "compose" / ".gitignore").read_text().split()
    assert "secrets/" in ignored


def test_nobody_outside_of_this_machine_reaches_a_port_and_the_servers_have_none():
    ports = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert not ports["postgres"]
    assert not ports["redis"]
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings_and_commands_ones_that_the_command_line_understands(name: str):
    assert [v for v in OURS[name]["environment"] if not is_setting(v)] == []
    command, *words = OURS[name]["command"]
    found = cli.commands[command]
    assert found.make_context(command, words, resilient_parsing=False)


def test_only_the_migrator_s_user_gets_the_address_that_may_change_tables():
    assert [name for name, service in SERVICES.items() if "upgrade_url" in service.get("secrets", ())] == ["migrate"]
    script = (DEPLOY / "compose" / "users.sh").read_text()
    assert "IN ROLE calcom_pipeline" in script
    assert "ALTER USER upgrade SET role = calcom_migrator" in script


def test_the_secrets_that_are_made_are_those_that_are_used_and_are_made_once(tmp_path: Path):
    script = tmp_path / "make-secrets"
    script.write_text((DEPLOY / "compose" / "make-secrets").read_text())
    for _ in range(2):
        subprocess.run(["bash", script], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) | {"api_key"} == set(COMPOSE["secrets"])
    again = subprocess.run(["bash", script], check=True, capture_output=True, text=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    assert all(value not in again.stdout + again.stderr for value in made.values())
    assert all((path.stat().st_mode & 0o077) == 0 for path in (tmp_path / "secrets").iterdir())
    values = {f"{variable_of(n)}": made[n] for n in ("database_url", "dagster_pg_url", "redis_url", "http_tokens")}
    assert load_settings({"CALCOM_ENV_FILE": "", **values}).http_named_tokens.keys() == {"website"}


@pytest.mark.parametrize("script", ["make-secrets", "users.sh"])
def test_scripts_are_ones_that_bash_understands(script: str):
    subprocess.run(["bash", "-n", DEPLOY / "compose" / script], check=True)


# --- the image -----------------------------------------------------------------------------------------------


def test_the_image_is_of_the_locked_set_runs_as_nobody_and_copies_what_there_is():
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    assert "-r requirements.lock" in text
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    assert "ENTRYPOINT" in text
    assert text.index("USER 10001") < text.index("ENTRYPOINT")
    variables = dict(part.split("=", 1) for part in re.findall(r"(CALCOM_\w+=\S*)", text))
    assert [name for name in variables if not is_setting(name)] == []
    assert variables["CALCOM_LOCAL"] == "never"
    wanted = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((CHECKOUT / path).exists() for path in wanted)
    project = (CHECKOUT / "pyproject.toml").read_text()
    shipped = re.findall(r'^"([\w./]+)" = "calcom_pipeline/_shipped', project, re.MULTILINE)
    assert set(shipped) <= wanted, "what the wheel is built from is in the image's context"


# --- Kubernetes and Celery -----------------------------------------------------------------------------------


def test_the_values_load_the_code_location_as_nobody_with_secrets_as_files():
    assert DEPLOYMENT["dagsterApiGrpcArgs"] == ["--module-name", "calcom_pipeline.definitions"]
    assert [one["name"] for one in DEPLOYMENT["env"] if not is_setting(one["name"])] == []
    assert DEPLOYMENT["podSecurityContext"]["runAsNonRoot"] is True
    assert DEPLOYMENT["securityContext"]["readOnlyRootFilesystem"] is True
    assert DEPLOYMENT["includeConfigInLaunchedRuns"]["enabled"] is True
    mounted = {mount["name"] for mount in DEPLOYMENT["volumeMounts"]}
    assert mounted == {volume["name"] for volume in DEPLOYMENT["volumes"]}
    assert VALUES["runLauncher"]["type"] == "K8sRunLauncher"


def test_the_values_say_what_our_own_instance_says():
    """The chart writes a dagster.yaml of its own: what ours relies on has to stand there as well."""
    ours = yaml.safe_load((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
    theirs = VALUES["dagsterDaemon"]
    queue = theirs["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["tagConcurrencyLimits"] == ours["run_coordinator"]["config"]["tag_concurrency_limits"]
    scheduler = VALUES["scheduler"]["config"]["daemonScheduler"]
    assert scheduler["maxTickRetries"] == ours["scheduler"]["config"]["max_tick_retries"]
    assert theirs["runRetries"]["maxRetries"] == ours["run_retries"]["max_retries"]
    assert theirs["runRetries"]["retryOnAssetOrOpFailure"] == ours["run_retries"]["retry_on_asset_or_op_failure"]
    assert theirs["runMonitoring"]["maxResumeRunAttempts"] == ours["run_monitoring"]["max_resume_run_attempts"]
    assert VALUES["telemetry"]["enabled"] == ours["telemetry"]["enabled"] is False


def test_the_example_for_celery_gives_every_run_what_the_workers_are_given():
    """It runs in tests/faults/test_celery.py."""
    text = (DEPLOY / "celery" / "definitions.py").read_text()
    compile(text, "definitions.py", "exec")
    assert "celery_executor.configured(" in text
    config = yaml.safe_load((DEPLOY / "celery" / "celery.yaml").read_text())["execution"]["config"]
    assert set(config) == {"broker", "backend", "config_source"}


def test_a_document_says_plainly_what_was_not_run():
    text = (CHECKOUT / "docs" / "deploy.md").read_text()
    for what in ("compose", "Helm", "Celery", "image"):
        assert re.search(rf"(?i)not run.*{what}|{what}.*not run", " ".join(text.split())), what

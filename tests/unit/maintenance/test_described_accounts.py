"""One file describes one account: its settings beside those of the environment, its secrets named and never written."""

from pathlib import Path
from typing import Any

import pytest

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings, load_settings, serves_environment, variable_of
from calcom_pipeline.settings.described import description_model
from calcom_pipeline.settings.model import SECRET_FIELDS
from tests.support.described import describe

OF_THE_DEPLOYMENT = {  # what all accounts of a location share, by the groups of settings
    "account", "accounts_dir", "local", "data_dir", "env_file", "dagster_pg_url", "dagster_retention_days",
    "webhook_spool_folder", "webhook_spool_megabytes", "ui_port", "dagster_log_megabytes", "dagster_log_files",
    "live_key",
}  # fmt: skip
GROUPS_OF_THE_DEPLOYMENT = ("database_", "redis_", "ledger_", "http_", "alert_", "report_", "ui_", "sandbox_")


def settings_of(folder: Path, name: str, **environ: str) -> Settings:
    return load_settings({"CALCOM_ENV_FILE": "", "CALCOM_ACCOUNTS_DIR": str(folder), "CALCOM_ACCOUNT": name, **environ})


def test_an_account_is_what_its_file_says_and_the_environment_where_it_says_nothing(tmp_path: Path):
    describe(
        tmp_path, "agency_a", key="cal_of_a", team_ids=[4, 7], rate_limit_per_minute=60, schedules=False, apply="auto"
    )
    settings = settings_of(
        tmp_path,
        "agency_a",
        CALCOM_RATE_LIMIT_PER_MINUTE="100",
        CALCOM_READ_TIMEOUT_SECONDS="7",
        DATABASE_URL="postgresql://host/shop",
    )
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "cal_of_a"
    assert (settings.account, settings.schema_name, settings.team_ids) == ("agency_a", "agency_a", (4, 7))
    assert (settings.rate_limit_per_minute, settings.read_timeout_seconds) == (60, 7.0)
    assert (settings.schedules, settings.sensors, settings.apply) == (False, True, "auto")
    assert settings.database_url is not None


def test_what_makes_an_account_this_one_is_never_taken_from_the_environment(tmp_path: Path):
    """The key of one agency beside the teams or the webhook of another would read the wrong one's bookings."""
    describe(tmp_path, "agency_a", key="cal_of_a")
    others = {
        "CALCOM_API_KEY": "cal_other",
        "CALCOM_TEAM_IDS": "9",
        "CALCOM_TEAM_SLUG": "other",
        "CALCOM_ORGANIZATION_ID": "9",
        "CALCOM_WEBHOOK_SECRET": "other",
        "CALCOM_WEBHOOK_PREVIOUS_SECRET_FILE": "/nowhere",
        "CALCOM_WEBHOOK_URL": "https://other.example/webhooks/calcom",
        "CALCOM_DATABASE_SCHEMA": "other",
    }
    assert settings_of(tmp_path, "agency_a", **others) == settings_of(tmp_path, "agency_a")


def test_a_secret_may_come_from_a_variable_which_the_env_file_may_hold(tmp_path: Path):
    describe(tmp_path, "agency_a", api_key={"variable": "AGENCY_A_KEY"}, webhook_secret={"variable": "AGENCY_A_HOOK"})
    env_file = tmp_path / "env"
    env_file.write_text("AGENCY_A_HOOK=of-the-file\n")
    settings = settings_of(tmp_path, "agency_a", CALCOM_ENV_FILE=str(env_file), AGENCY_A_KEY="of-the-shell")
    assert [secret and secret.get_secret_value() for secret in (settings.api_key, settings.webhook_secret)] == [
        "of-the-shell",
        "of-the-file",
    ]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({}, "Account agency_a: api_key: Field required"),
        ({"api_key": "cal_geheim"}, "Account agency_a: api_key: name where the secret is, `variable: NAME`"),
        ({"api_key": {"variable": "GONE"}}, "Account agency_a: api_key: the variable GONE is not set"),
        ({"api_key": {"variable": "CALCOM_KEY_A"}}, "must not begin with CALCOM_"),
        ({"api_key": {"variable": "A", "file": "b"}}, "api_key: wants a variable or a file, one of them"),
        ({"api_key": {}}, "api_key: wants a variable or a file, one of them"),
        ({"api_key": {"file": "/nowhere/key"}}, "the file /nowhere/key, which cannot be read (No such file"),
        ({"rate_limit_per_minute": 1}, "rate_limit_per_minute: Input should be greater than or equal to 5"),
        ({"rate_limit": 60}, "rate_limit: no setting of an account; did you mean rate_limit_per_minute?"),
        ({"team_ids": ["sales"]}, "team_ids.0: Input should be a valid integer"),
        ({"default_time_zone": "Mars/Base"}, "default_time_zone: is no IANA time zone"),
        ({"http_port": 80}, "http_port: no setting of an account"),
        ({"local": "auto"}, "local: no setting of an account"),
    ],
)
def test_what_is_wrong_with_an_account_is_told_with_its_name_and_no_value(
    attributes: dict[str, Any], problem: str, tmp_path: Path
):
    describe(tmp_path, "agency_a", **{"api_key": {"variable": "KEY"}, **attributes} if attributes else {})
    with pytest.raises(ConfigurationError) as refused:
        settings_of(tmp_path, "agency_a", KEY="cal_x")
    assert any(problem in told for told in refused.value.problems), refused.value.problems
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type: calcom_pipeline.CalcomAccount\nattributes: [", "is no YAML file that can be read (line"),
        ("type: dagster.DefsFolderComponent\n", "does not say `type: calcom_pipeline.CalcomAccount`"),
        ("- a\n", "does not say `type:"),
        ("", "does not say `type:"),
        ("type: calcom_pipeline.CalcomAccount\nattributes: 7\n", "attributes are no mapping"),
        ("type: calcom_pipeline.CalcomAccount\nattributes: {}\n---\n", "is no YAML file that can be read"),
        (b"\xff\xfe\x00", "is no YAML file that can be read"),
    ],
)
def test_a_file_that_describes_no_account_is_refused(text: str | bytes, problem: str, tmp_path: Path):
    file = describe(tmp_path, "agency_a")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as refused:
        settings_of(tmp_path, "agency_a")
    assert problem in refused.value.problems[0]


def test_settings_that_contradict_each_other_are_refused_also_between_the_file_and_the_environment(tmp_path: Path):
    describe(tmp_path, "agency_a", key="k", rate_limit_per_minute=20, webhook_url="https://x.example/hook")
    with pytest.raises(ConfigurationError) as refused:
        settings_of(tmp_path, "agency_a", CALCOM_RATE_RESERVE_REQUESTS="50")
    wrong = "; ".join(refused.value.problems)
    assert "leave nothing of CALCOM_RATE_LIMIT_PER_MINUTE" in wrong
    assert "CALCOM_WEBHOOK_SECRET is not" in wrong


def test_every_setting_is_an_account_s_or_the_deployment_s():
    described = set(description_model().model_fields)
    deployment = {
        name
        for name in Settings.model_fields
        if name in OF_THE_DEPLOYMENT
        or (name.startswith(GROUPS_OF_THE_DEPLOYMENT) and name not in ("database_url", "database_schema", "redis_url"))
    }
    assert described | deployment == set(Settings.model_fields)
    assert described & deployment == set()


def test_the_schema_describes_and_bounds_every_field_and_no_secret_may_stand_in_it():
    schema = description_model().model_json_schema()
    properties = schema["properties"]
    assert [name for name, of in properties.items() if not of.get("description")] == []
    assert (
        properties["rate_limit_per_minute"]["minimum"]
        == Settings.model_json_schema()["properties"]["rate_limit_per_minute"]["minimum"]
    )
    for name in SECRET_FIELDS & properties.keys():
        assert "SecretSource" in str(properties[name]), name
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("described", "environ", "served"),
    [
        ([], {}, True),
        ([], {"CALCOM_API_KEY": "k"}, True),
        (["agency_a"], {}, False),
        (["agency_a"], {"CALCOM_API_KEY": "k"}, True),
        (["agency_a"], {"CALCOM_API_KEY_FILE": "/run/secrets/key"}, True),
        (["agency_a"], {"CALCOM_API_KEY": "k", "CALCOM_ACCOUNT": "agency_a"}, False),
    ],
)
def test_the_environment_is_an_account_if_it_has_a_key_or_there_is_no_other(
    described: list[str], environ: dict[str, str], served: bool, tmp_path: Path
):
    for name in described:
        describe(tmp_path, name, key="k")
    assert serves_environment({"CALCOM_ENV_FILE": "", "CALCOM_ACCOUNTS_DIR": str(tmp_path), **environ}) == served


def test_production_wants_no_key_of_the_environment_where_accounts_are_described(tmp_path: Path):
    servers = {"DATABASE_URL": "postgresql://host/shop", "REDIS_URL": "redis://host", "CALCOM_LOCAL": "never"}
    with pytest.raises(ConfigurationError, match="CALCOM_API_KEY is not set"):
        settings_of(tmp_path, "calcom", **servers)
    describe(tmp_path, "agency_a", key="k")
    assert settings_of(tmp_path, "calcom", **servers).api_key is None
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        settings_of(tmp_path, "calcom", **{**servers, "REDIS_URL": ""})


def test_every_field_of_an_account_is_named_as_its_variable_is():
    assert {variable_of(name).removeprefix("CALCOM_").lower() for name in description_model().model_fields} <= set(
        Settings.model_fields
    )

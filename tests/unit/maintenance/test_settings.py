from pathlib import Path

import pytest

from calcom_pipeline.adapters.postgres.bounds import WORKS, DatabaseBounds, setting_of
from calcom_pipeline.adapters.redis.connection import RedisBounds
from calcom_pipeline.bootstrap.connections import database_bounds
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import CALCOM_CLOUD, Settings, example, load_settings, variable_of


def test_nothing_set_means_the_sandbox_and_embedded_servers():
    settings = load_settings({})
    assert settings.uses_sandbox
    assert settings.database_url is None
    assert settings.schema_name == "calcom"
    assert settings.redis_prefix == "calcom:v1:{calcom}:"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"CALCOM_API_KY": "x"}, "CALCOM_API_KY is no setting; did you mean CALCOM_API_KEY?"),
        ({"CALCOM_WHATEVER_THIS_IS": "x"}, "CALCOM_WHATEVER_THIS_IS is no setting"),
        ({"CALCOM_RATE_LIMIT_PER_MINUTE": "-4"}, "CALCOM_RATE_LIMIT_PER_MINUTE: Input should be greater than"),
        ({"CALCOM_RATE_LIMIT_PER_MINUTE": "many"}, "CALCOM_RATE_LIMIT_PER_MINUTE: Input should be a valid integer"),
        ({"CALCOM_DEFAULT_TIME_ZONE": "Mars/Base"}, "CALCOM_DEFAULT_TIME_ZONE: is no IANA time zone"),
        ({"CALCOM_ACCOUNT": "Ärger; drop"}, "CALCOM_ACCOUNT: String should match"),
        ({"CALCOM_APPLY": "yes"}, "CALCOM_APPLY: Input should be 'plan' or 'auto'"),
        ({"CALCOM_LOCAL": "never"}, "CALCOM_LOCAL=never, but DATABASE_URL is not set"),
        ({"CALCOM_BASE_URL": "https://cal.example"}, "CALCOM_BASE_URL is set, but CALCOM_API_KEY is not"),
        ({"CALCOM_BASE_URL": "ftp://x", "CALCOM_API_KEY": "k"}, "CALCOM_BASE_URL: String should match"),
        ({"CALCOM_RATE_SAFETY_REQUESTS": "50", "CALCOM_RATE_LIMIT_PER_MINUTE": "50"}, "leave nothing of"),
        ({"CALCOM_ENV_FILE": "/nowhere/.env"}, "which is no file"),
        ({"DATABASE_URL": "mysql://shop:geheim@host/shop"}, "DATABASE_URL: is no address of PostgreSQL, such as"),
        ({"DAGSTER_PG_URL": "host/dagster"}, "DAGSTER_PG_URL: is no address of PostgreSQL, such as postgresql://"),
        ({"REDIS_URL": "http://:geheim@host:6379"}, "REDIS_URL: is no address of Redis, such as redis://user@host"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(given: dict[str, str], problem: str):
    with pytest.raises(ConfigurationError) as refused:
        load_settings(given)
    assert any(problem in said for said in refused.value.problems), refused.value.problems
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"DATABASE_URL": "postgres://host/shop", "REDIS_URL": "rediss://host:6379/0"},
        {"DATABASE_URL": "postgresql+psycopg2:///shop?host=/run", "REDIS_URL": "unix:///run/redis.sock?db=0"},
        {"DATABASE_URL": "postgresql://u:p@host/shop", "REDIS_URL": "redis://:p@host"},
        {"DATABASE_URL": " ", "REDIS_URL": "", "DAGSTER_PG_URL": ""},
    ],
)
def test_every_spelling_of_a_server_s_address_is_taken(given: dict[str, str]):
    assert load_settings(given).schema_name == "calcom"


def test_all_problems_are_told_at_once_and_no_secret_is():
    secret = "cal_live_this_is_secret"
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"CALCOM_API_KEY": secret, "CALCOM_TEAM_IDS": secret, "CALCOM_READ_TIMEOUT_SECONDS": "0"})
    assert len(refused.value.problems) == 2
    assert secret not in str(refused.value)


@pytest.mark.parametrize("given", ["https://cal.example", "https://cal.example/", "https://cal.example/v2/"])
def test_every_spelling_of_a_server_means_the_same_api(given: str):
    settings = load_settings({"CALCOM_BASE_URL": given, "CALCOM_API_KEY": "k"})
    assert settings.base_url == "https://cal.example/v2"
    assert load_settings({"CALCOM_API_KEY": "k"}).base_url == CALCOM_CLOUD


def test_an_account_of_its_own_name_has_keys_and_a_schema_of_its_own():
    settings = load_settings({"CALCOM_ACCOUNT": "berlin"})
    assert (settings.schema_name, settings.redis_prefix) == ("berlin", "calcom:v1:{berlin}:")
    assert load_settings({"CALCOM_ACCOUNT": "berlin", "CALCOM_DATABASE_SCHEMA": "sales"}).schema_name == "sales"


def test_the_environment_wins_over_the_env_file_whose_typing_errors_are_refused_too(tmp_path: Path):
    file = tmp_path / "settings.env"
    file.write_text('CALCOM_ACCOUNT=fromfile\nCALCOM_TEAM_IDS="1, 2"\nOTHER_TOOL=x\n')
    settings = load_settings({"CALCOM_ENV_FILE": str(file), "CALCOM_ACCOUNT": "fromshell"})
    assert (settings.account, settings.team_ids) == ("fromshell", (1, 2))
    file.write_text("CALCOM_ACOUNT=x\n")
    with pytest.raises(ConfigurationError, match="did you mean CALCOM_ACCOUNT"):
        load_settings({"CALCOM_ENV_FILE": str(file)})


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_setting_is_an_unset_one_whichever_it_is(blank: str, tmp_path: Path):
    names = [variable_of(name) for name in Settings.model_fields]
    assert load_settings(dict.fromkeys(names, blank)) == Settings()
    file = tmp_path / "settings.env"
    file.write_text("".join(f"{name}={blank}\n" for name in names if name != "CALCOM_ENV_FILE"))
    assert load_settings({"CALCOM_ENV_FILE": str(file)}) == Settings(env_file=file)


def test_a_blank_in_the_environment_takes_back_what_the_env_file_says(tmp_path: Path):
    file = tmp_path / "settings.env"
    file.write_text("CALCOM_ACCOUNT=fromfile\n")
    assert load_settings({"CALCOM_ENV_FILE": str(file), "CALCOM_ACCOUNT": ""}).account == "calcom"


def test_a_value_of_the_env_file_is_read_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("word", "expanded")
    file = tmp_path / "settings.env"
    file.write_text("CALCOM_WEBHOOK_SECRET=a${word}b$word${other:-c}\nCALCOM_PRIVACY_KEY='${word}'\n")
    settings = load_settings({"CALCOM_ENV_FILE": str(file)})
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == "a${word}b$word${other:-c}"
    assert settings.privacy_key is not None
    assert settings.privacy_key.get_secret_value() == "${word}"


def test_a_key_is_named_by_a_hash_and_never_shown():
    settings = load_settings({"CALCOM_API_KEY": "cal_secret"})
    assert "cal_secret" not in repr(settings)
    assert settings.key_name == load_settings({"CALCOM_API_KEY": "cal_secret"}).key_name
    assert settings.key_name != load_settings({"CALCOM_API_KEY": "cal_other"}).key_name


def test_the_example_file_lists_every_setting_as_it_is():
    shipped = (Path(__file__).parents[3] / ".env.example").read_text()
    assert shipped == example(), "run: python -m calcom_pipeline.settings > .env.example"
    assert all(f"# {variable_of(name)}=" in shipped for name in Settings.model_fields)


def test_what_servers_are_waited_for_is_said_once_and_the_same_everywhere():
    """Tests and tools open servers without settings; they wait as long as everybody else."""
    plain = Settings()
    assert database_bounds(plain) == DatabaseBounds()
    assert RedisBounds(plain.redis_seconds, plain.redis_pause_seconds) == RedisBounds()


def test_the_bound_that_an_error_names_is_a_setting():
    assert {setting_of(work) for work in WORKS} <= {variable_of(name) for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("variables", "page"),
    [
        ({}, None),
        ({"CALCOM_API_KEY": "cal_x"}, "https://app.cal.com/event-types/7"),
        ({"CALCOM_API_KEY": "cal_x", "CALCOM_BASE_URL": "https://api.example.org/v2"}, None),
        (
            {"CALCOM_API_KEY": "cal_x", "CALCOM_WEB_URL": "https://cal.example.org/"},
            "https://cal.example.org/event-types/7",
        ),
    ],
)
def test_an_event_type_has_a_page_where_people_edit_it_unless_it_is_the_sandboxs(variables, page):
    assert load_settings({"CALCOM_ENV_FILE": "", **variables}).event_type_page(7) == page

"""Every secret may stand in a file; a file that cannot be one is refused without a word of what it holds."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from calcom_pipeline.bootstrap.locations import _uses_sandbox
from calcom_pipeline.cli import demo
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.redaction import without_secrets
from calcom_pipeline.settings import example, load_settings, variable_of
from calcom_pipeline.settings.model import SECRET_FIELDS
from tests.support.described import describe

FIT = {
    "database_url": "postgresql://me:geheim-von-uns@host/shop",
    "dagster_pg_url": "postgresql://me:geheim-von-uns@host/dagster",
    "redis_url": "rediss://:geheim-von-uns@host:6379",
    "alert_webhook": "https://hooks.example/geheim-von-uns",
    "alert_smtp_url": "smtps://me:geheim-von-uns@host:465",
    "proxy": "http://me:geheim-von-uns@proxy:3128",
    "http_tokens": "shop=geheim-von-uns-und-noch-mehr",
}


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
def test_a_secret_in_a_file_is_the_same_setting(field: str, tmp_path: Path):
    value = FIT.get(field, "geheim-von-uns")
    name = variable_of(field)
    from_file = load_settings({"CALCOM_ENV_FILE": "", f"{name}_FILE": written(tmp_path / "secret", f"{value}\n")})
    assert from_file == load_settings({"CALCOM_ENV_FILE": "", name: value})
    assert isinstance(getattr(from_file, field), SecretStr)
    assert "geheim-von-uns" not in without_secrets(f"x {value} y"), "it is known to the redactor"
    assert f"#   {name}\n" in example(), "the example says that it may be a file"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "which is empty"),
        (" \n", "which is empty"),
        (b"geheim\xff\xfe", "which is no text in UTF-8"),
        ("geheim" * 20_000, "which is longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_unquoted(content: str | bytes, why: str, tmp_path: Path):
    path = written(tmp_path / "secret", content)
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"CALCOM_API_KEY_FILE": path})
    assert refused.value.problems == [f"CALCOM_API_KEY_FILE names {path}, {why}"]
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(("name", "why"), [("missing", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told_with_the_reason(name: str, why: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=rf"REDIS_URL_FILE names .*, which cannot be read \({why}\)"):
        load_settings({"REDIS_URL_FILE": str(tmp_path / name)})


def test_only_the_line_break_at_the_end_is_no_part_of_it(tmp_path: Path):
    path = written(tmp_path / "secret", "  two words \r\n")
    secret = load_settings({"CALCOM_WEBHOOK_SECRET_FILE": path}).webhook_secret
    assert secret is not None
    assert secret.get_secret_value() == "  two words "


def test_one_secret_in_both_ways_is_refused_and_a_wrong_one_of_a_file_is_not_quoted(tmp_path: Path):
    path = written(tmp_path / "secret", "mysql://me:geheim@host")
    with pytest.raises(ConfigurationError) as refused:
        load_settings({"DATABASE_URL_FILE": path, "CALCOM_API_KEY": "k", "CALCOM_API_KEY_FILE": path})
    assert "CALCOM_API_KEY and CALCOM_API_KEY_FILE are both set" in refused.value.problems
    assert any(problem.startswith("DATABASE_URL: is no address of PostgreSQL") for problem in refused.value.problems)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("in_file", "in_environment", "key"),
    [
        ("CALCOM_API_KEY=from-dotenv\n", {"CALCOM_API_KEY_FILE": "{secret}"}, "from-file"),
        ("CALCOM_API_KEY_FILE={secret}\n", {"CALCOM_API_KEY": "from-environment"}, "from-environment"),
        ("CALCOM_API_KEY_FILE={secret}\n", {}, "from-file"),
        ("CALCOM_API_KEY_FILE={secret}\n", {"CALCOM_API_KEY": ""}, None),
    ],
)
def test_the_environment_wins_over_the_env_file_in_whichever_spelling(
    in_file: str, in_environment: dict[str, str], key: str | None, tmp_path: Path
):
    secret = written(tmp_path / "secret", "from-file")
    env_file = written(tmp_path / "env", in_file.format(secret=secret))
    given = {name: value.format(secret=secret) for name, value in in_environment.items()}
    found = load_settings({"CALCOM_ENV_FILE": env_file, **given}).api_key
    assert (found.get_secret_value() if found else None) == key


def test_what_is_no_secret_has_no_file_and_production_takes_files_for_what_it_needs(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="CALCOM_TEAM_SLUG_FILE is no setting"):
        load_settings({"CALCOM_TEAM_SLUG_FILE": "x"})
    files = {
        "CALCOM_API_KEY_FILE": written(tmp_path / "key", "cal_x"),
        "DATABASE_URL_FILE": written(tmp_path / "database", FIT["database_url"]),
        "REDIS_URL_FILE": written(tmp_path / "redis", FIT["redis_url"]),
    }
    assert load_settings({"CALCOM_ENV_FILE": "", "CALCOM_LOCAL": "never", **files}).local == "never"


def test_the_demo_leaves_a_real_account_alone_however_it_is_named(tmp_path: Path):
    """Its key in a variable, in a file, or in an account that a file describes."""
    describe(tmp_path, "calcom", key="cal_live")
    given = {
        "CALCOM_API_KEY_FILE": written(tmp_path / "key", "cal_live"),
        "DATABASE_URL_FILE": written(tmp_path / "database", FIT["database_url"]),
        "CALCOM_ACCOUNTS_DIR": str(tmp_path),
        "CALCOM_ACCOUNT": "calcom",
    }
    kept = {name: value for name, value in given.items() if name not in demo._LEFT_ALONE}
    settings = load_settings({**kept, **demo._ALONE})
    assert (settings.api_key, settings.database_url) == (None, None)
    assert _uses_sandbox(settings)

"""Where the servers are: what the settings name, else the embedded ones of this machine.

Nothing named means embedded servers and the sandbox. A given `CALCOM_API_KEY`, `DATABASE_URL` or `REDIS_URL` replaces
its embedded counterpart. `CALCOM_LOCAL=never` was checked before anything gets here. Where accounts are described by
files, an environment without a key is none of them: it has servers, and no Cal.com.
"""

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.redaction import know_secrets, secrets_of_url
from calcom_pipeline.settings import Settings
from calcom_pipeline.settings.described import OWN_FOLDER, described_names

if TYPE_CHECKING:
    from calcom_pipeline.local import Companion, Servers

SANDBOX = "sandbox"
#: The key of the demo account; it opens nothing but the sandbox on this machine.
SANDBOX_KEY = "cal_demo0000000000000000000000000001"
_CHECKOUT = Path(__file__).parents[2]


class EmbeddedServersFailed(PipelineError):  # noqa: N818 - says what happened
    """PostgreSQL, Valkey or the sandbox of this machine did not start."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where everything is. `servers` are the embedded ones, where any of them is used.

    `api_key` is None where the settings are those of no account.
    """

    base_url: str
    api_key: str | None
    database_url: str
    redis_url: str
    is_sandbox: bool
    embedded_database: bool
    servers: "Servers | None"


def in_checkout() -> bool:
    """Whether this package runs from its source tree."""
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "workspace.yaml").is_file()


def data_folder(settings: Settings) -> Path:
    """Where the embedded servers live: as set, else `.calcom` in the checkout, else the user's data folder."""
    if settings.data_dir is not None:
        return settings.data_dir.expanduser().absolute()
    if in_checkout():
        return _CHECKOUT / ".calcom"
    from platformdirs import user_data_path

    return user_data_path("calcom-pipeline")


def sandbox_companion(settings: Settings) -> "Companion":
    """The sandbox as the embedded servers' owner runs it: its state stays in the data folder."""
    from calcom_pipeline.local import Companion

    options = {
        "--host": "127.0.0.1",
        "--port": "0",
        "--account": "demo",
        "--event-types": str(settings.sandbox_event_types),
        "--teams": str(settings.sandbox_teams),
        "--bookings": str(settings.sandbox_bookings),
        "--state": "{data}/sandbox.state",
        "--ready-file": "{ready_file}",
    }
    flat = [part for pair in options.items() for part in pair]
    flat += ["--control"] if settings.sandbox_control else []
    return Companion(SANDBOX, (_interpreter(), "-m", "calcom_pipeline.sandbox", "serve", *flat))


def _interpreter() -> str:
    """This environment's Python, spelled the same however it was started: a companion is known by its command line."""
    return str(Path(sys.prefix).resolve() / "bin" / "python3")


@contextmanager
def open_endpoints(settings: Settings) -> Generator[Endpoints]:
    """Where everything is; embedded servers that are needed run at least as long as the block.

    Raises:
        EmbeddedServersFailed: with the cause in one line.
    """
    with ExitStack() as stack:
        needed = _uses_sandbox(settings) or None in (settings.database_url, settings.redis_url)
        servers = stack.enter_context(_joined(settings)) if needed else None
        yield resolved(settings, servers)


def _uses_sandbox(settings: Settings) -> bool:
    return settings.api_key is None and not described_names(settings.accounts_dir or OWN_FOLDER)


@contextmanager
def _joined(settings: Settings) -> "Generator[Servers]":
    from calcom_pipeline import local

    with embedded_failures(), local.join(data_folder(settings), companions=[sandbox_companion(settings)]) as servers:
        yield servers


@contextmanager
def embedded_failures() -> Generator[None]:
    """Give the embedded servers' own errors an exit code and a sentence."""
    from calcom_pipeline.local import LocalServerError

    try:
        yield
    except LocalServerError as error:
        raise EmbeddedServersFailed(str(error)) from error


def resolved(settings: Settings, servers: "Servers | None") -> Endpoints:
    """Settings where given, else the embedded servers."""
    is_sandbox = _uses_sandbox(settings)
    if is_sandbox:
        base_url, api_key = _needed(servers).companions[SANDBOX], SANDBOX_KEY
    else:
        base_url, api_key = settings.base_url, settings.api_key.get_secret_value() if settings.api_key else None
    database_url, redis_url = settings.database_url, settings.redis_url
    if servers is not None:
        for url in (servers.database_url, servers.dagster_pg_url, servers.redis_url):
            know_secrets(secrets_of_url(url))
    return Endpoints(
        base_url=base_url,
        api_key=api_key,
        database_url=database_url.get_secret_value() if database_url else _needed(servers).database_url,
        redis_url=redis_url.get_secret_value() if redis_url else _needed(servers).redis_url,
        is_sandbox=is_sandbox,
        embedded_database=database_url is None,
        servers=servers,
    )


def _needed(servers: "Servers | None") -> "Servers":
    if servers is None:
        raise AssertionError("embedded servers are joined whenever something is not given")
    return servers

"""What Dagster needs before it starts: its home, its database, our schema.

Dagster opens its instance before any of our code loads, so all of it stands before the first of its processes does.
"""

import os
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Self

from calcom_pipeline.settings import Settings
from calcom_pipeline.wiring import (
    EmbeddedServersFailed,
    Pipeline,
    data_folder,
    embedded_failures,
    in_checkout,
    open_pipeline,
    sandbox_companion,
)

if TYPE_CHECKING:
    from calcom_pipeline.local import Servers

_DAGSTER_COMMANDS = ("ASSET_MATERIALIZE", "ASSET_LIST", "JOB_EXECUTE", "JOB_LIST", "DEFINITIONS_VALIDATE")
_CHECKOUT = Path(__file__).parents[1]
_LOOK_SECONDS = 2.0  # a look is a SELECT 1 and a PING: a few milliseconds
_LONGEST_PAUSE_SECONDS = 30.0  # between two tries to start servers that do not start


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME if set; in a checkout its `dagster_home`; else a folder beside the embedded data."""
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    if in_checkout():
        return _CHECKOUT / "dagster_home"
    home = data_folder(settings) / "dagster_home"
    home.mkdir(0o700, parents=True, exist_ok=True)
    shipped = resources.files("calcom_pipeline") / "_shipped" / "dagster.yaml"
    shutil.copyfile(str(shipped), home / "dagster.yaml")
    return home


def workspace() -> Path:
    """The file that names the code location: the checkout's, or the one in the wheel."""
    shipped = resources.files("calcom_pipeline") / "_shipped" / "workspace.yaml"
    return _CHECKOUT / "workspace.yaml" if in_checkout() else Path(str(shipped))


def local_environment(settings: Settings, servers: "Servers") -> dict[str, str]:
    """What a shell needs to use the embedded servers, Dagster included."""
    from calcom_pipeline.local.environment import environment

    return {
        **environment(servers),
        "DAGSTER_HOME": str(dagster_home(settings)),
        "CALCOM_DATA_DIR": str(data_folder(settings)),
        **dagster_defaults(),
    }


def dagster_defaults() -> dict[str, str]:
    """Options of Dagster's own commands that need the code location named; they read no project file."""
    return {f"DAGSTER_CLI_{command}_MODULE_NAME": "calcom_pipeline.definitions" for command in _DAGSTER_COMMANDS}


def migrate_embedded(settings: Settings) -> None:
    """Bring the embedded database's schema to this release."""
    with open_pipeline(settings) as pipeline:
        _ = pipeline.store


@contextmanager
def dagster_environment(settings: Settings) -> Generator[tuple[dict[str, str], Pipeline]]:
    """The variables Dagster's processes need, with everything they name standing as long as the block.

    Raises:
        StoreError: Dagster's database is missing and cannot be created, or it does not answer.
    """
    from calcom_pipeline.adapters.postgres.dagster_storage import dagster_url, require_database

    with open_pipeline(settings) as pipeline:
        servers, given = pipeline.endpoints.servers, settings.dagster_pg_url
        _ = pipeline.store  # the schema, before a run needs it
        variables = {"DAGSTER_HOME": str(dagster_home(settings)), "CALCOM_DATA_DIR": str(data_folder(settings))}
        if given is not None:
            url = dagster_url(given.get_secret_value(), create=False)
        elif pipeline.endpoints.embedded_database and servers is not None:
            url = servers.dagster_pg_url
        else:
            url = dagster_url(pipeline.endpoints.database_url, create=True)
        require_database(url)
        yield {**variables, "DAGSTER_PG_URL": url}, pipeline


def known_dagster_url(pipeline: Pipeline) -> str | None:
    """Where Dagster's database is, for a look; None: nothing of Dagster has run yet. Makes nothing.

    Raises:
        StoreError: PostgreSQL is away.
    """
    from calcom_pipeline.adapters.postgres.dagster_storage import existing_dagster_url

    servers, given = pipeline.endpoints.servers, pipeline.settings.dagster_pg_url
    if given is not None:
        return existing_dagster_url(given.get_secret_value(), beside=False)
    if pipeline.endpoints.embedded_database and servers is not None:
        return servers.dagster_pg_url
    return existing_dagster_url(pipeline.endpoints.database_url, beside=True)


class JoinedServers:
    """The embedded servers, joined again by a thread when their owner has died; `moved` hears of a new address."""

    def __init__(
        self, settings: Settings, url: str, *, say: Callable[[str], None], moved: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._url = url
        self._say = say
        self._moved = moved
        self._stop = threading.Event()
        self._joined = ExitStack()
        self._thread = threading.Thread(target=self._run, name="embedded servers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_LOOK_SECONDS)
        self._joined.close()

    def _run(self) -> None:
        pause = _LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                self._look()
                pause = _LOOK_SECONDS
            except EmbeddedServersFailed as error:
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._say(f"{error}; tried again in {pause:g} s")

    def _look(self) -> None:
        from calcom_pipeline import local

        folder = data_folder(self._settings)
        with embedded_failures():
            if local.status(folder) is not None:
                return
            self._say("the embedded servers are gone: joining them again")
            with ExitStack() as stack:
                joined = local.join(folder, companions=[sandbox_companion(self._settings)])
                servers = stack.enter_context(joined)
                self._joined, old = stack.pop_all(), self._joined
        old.close()
        self._say("the embedded servers answer again")
        if servers.dagster_pg_url != self._url:
            self._url = servers.dagster_pg_url
            self._moved(self._url)

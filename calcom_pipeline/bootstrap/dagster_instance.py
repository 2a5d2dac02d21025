"""What Dagster needs before it starts: its home, its database, our schema.

Dagster opens its instance before any of our code loads, so all of it stands before the first of its processes does.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from calcom_pipeline.bootstrap.connections import database_bounds
from calcom_pipeline.bootstrap.container import Container, open_container
from calcom_pipeline.bootstrap.locations import data_folder, in_checkout
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from calcom_pipeline.local import Servers

_DAGSTER_COMMANDS = ("ASSET_MATERIALIZE", "ASSET_LIST", "JOB_EXECUTE", "JOB_LIST", "DEFINITIONS_VALIDATE")
_CHECKOUT = Path(__file__).parents[2]
#: Names the folder in which matplotlib keeps what it finds out about fonts, which takes it seconds.
FONTS = "MPLCONFIGDIR"


def home_folder(settings: Settings) -> Path:
    """DAGSTER_HOME if set; in a checkout its `dagster_home`; else a folder beside the embedded data, there or not."""
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    return _CHECKOUT / "dagster_home" if in_checkout() else data_folder(settings) / "dagster_home"


def dagster_home(settings: Settings) -> Path:
    """The same; the folder beside the embedded data is made ready."""
    home = home_folder(settings)
    if os.environ.get("DAGSTER_HOME") or in_checkout():
        return home
    home.mkdir(0o700, parents=True, exist_ok=True)
    shipped = resources.files("calcom_pipeline") / "_shipped" / "dagster.yaml"
    shutil.copyfile(str(shipped), home / "dagster.yaml")
    return home


def workspace() -> Path:
    """The file that names the code location: the checkout's, or the one in the wheel."""
    shipped = resources.files("calcom_pipeline") / "_shipped" / "workspace.yaml"
    return _CHECKOUT / "workspace.yaml" if in_checkout() else Path(str(shipped))


def font_folder(settings: Settings) -> str:
    """That folder: as set, else in the data folder, so that nothing is left in the user's home."""
    return os.environ.get(FONTS) or str(data_folder(settings) / "cache" / "matplotlib")


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
    with open_container(settings) as container:
        container.require_schema()


@contextmanager
def dagster_environment(settings: Settings) -> Generator[tuple[dict[str, str], Container]]:
    """The variables Dagster's processes need, with everything they name standing as long as the block.

    Raises:
        StoreError: Dagster's database is missing and cannot be created, or it does not answer.
    """
    from calcom_pipeline.adapters.postgres.dagster_storage import dagster_url, require_database

    with open_container(settings) as container:
        servers, given, bounds = container.endpoints.servers, settings.dagster_pg_url, database_bounds(settings)
        container.require_schema()  # before a run needs it
        variables = {
            "DAGSTER_HOME": str(dagster_home(settings)),
            "CALCOM_DATA_DIR": str(data_folder(settings)),
            FONTS: font_folder(settings),
        }
        if given is not None:
            url = dagster_url(given.get_secret_value(), create=False, bounds=bounds)
        elif container.endpoints.embedded_database and servers is not None:
            url = servers.dagster_pg_url
        else:
            url = dagster_url(container.endpoints.database_url, create=True, bounds=bounds)
        require_database(url, bounds=bounds)
        yield {**variables, "DAGSTER_PG_URL": url}, container


def known_dagster_url(container: Container) -> str | None:
    """The address of Dagster's database, None where nobody has started Dagster yet; nothing is made for the answer.

    Raises:
        StoreError: our own database is away.
    """
    from calcom_pipeline.adapters.postgres.dagster_storage import dagster_database, dagster_url

    if (given := container.settings.dagster_pg_url) is not None:
        return dagster_url(given.get_secret_value(), create=False, bounds=database_bounds(container.settings))
    servers = container.endpoints.servers
    if container.endpoints.embedded_database and servers is not None:
        return servers.dagster_pg_url
    return dagster_database(container.endpoints.database_url, bounds=database_bounds(container.settings))


def room_of_dagster(container: Container) -> dict[str, int]:
    """Bytes of Dagster's database and of what its runs left on disk; empty where there is no Dagster.

    Raises:
        StoreError: a database is away.
    """
    from calcom_pipeline.adapters.postgres.database import open_database
    from calcom_pipeline.adapters.postgres.maintenance.records import database_size

    url = known_dagster_url(container)
    if url is None:
        return {}
    with open_database(url, schema="public", bounds=database_bounds(container.settings)) as database:
        size = database_size(database)
    files = (home_folder(container.settings) / "storage").rglob("*")
    return {"Dagster's database": size, "Dagster's files": sum(_size_of(file) for file in files)}


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:  # it went while it was looked at
        return 0

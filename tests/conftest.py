"""What all tests share: a deaf environment, one embedded PostgreSQL and Valkey, a schema and a Redis database each."""

import gc
import os
import tempfile
import uuid
from collections.abc import Collection, Generator, Iterator
from pathlib import Path

for _name in [n for n in os.environ if n.startswith("CALCOM_")]:
    del os.environ[_name]
for _name in ("DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL", "DAGSTER_HOME"):
    os.environ.pop(_name, None)
    os.environ.pop(f"{_name}_FILE", None)
os.environ["CALCOM_ENV_FILE"] = ""
# The cache of fonts is made once for all workers and runs; what is under test there gets a folder of its own.
os.environ["MPLCONFIGDIR"] = str(Path(tempfile.gettempdir()) / "calcom-tests-matplotlib")
os.environ["CALCOM_DATA_DIR"] = str(Path(tempfile.gettempdir()) / f"calcom-tests-{uuid.uuid4().hex[:8]}")

# A process of tests holds a million objects of Dagster's and of pytest's: to look for garbage among them as often as
# Python does by itself takes a tenth of its time.
gc.set_threshold(20_000)

import pytest
import redis
from hypothesis import settings as hypothesis_settings

from calcom_pipeline import local
from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.migrations import migrate, shipped_migrations
from calcom_pipeline.adapters.postgres.pool import SessionPool, SessionPools
from calcom_pipeline.domain.redaction import forget_secrets
from tests.support.free_times import long_there
from tests.support.leaks import nothing_leaked_anywhere, nothing_leaks
from tests.support.leaving import leaving_last
from tests.support.order import long_ones_first
from tests.support.schemas import Schemas

__all__ = ["nothing_leaks"]  # watches every test
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox

# Seeded: the same examples on every run and machine. `make proof` looks further.
hypothesis_settings.register_profile("seeded", derandomize=True, deadline=None, max_examples=60)
hypothesis_settings.register_profile("proof", deadline=None, max_examples=2000, print_blob=True)
hypothesis_settings.load_profile("seeded")

_REDIS_DATABASES = 16


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: the garbage collector leaves it alone, then and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where tests with a browser are left out, no worker imports Playwright for them."""
    left_out = "not ui" in config.option.markexpr
    return True if left_out and collection_path == Path(__file__).parent / "ui" else None


@pytest.hookimpl(trylast=True)  # when it is known what is left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones begin first; all workers of a run find the same order."""
    items[:] = long_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.fixture(autouse=True)
def secrets_of_other_tests() -> None:
    """Are forgotten: tests take any word for a secret, and what is known is taken out of every sentence."""
    forget_secrets()


@pytest.fixture(scope="session")
def servers(testrun_uid: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.Servers]:
    """One PostgreSQL and one Valkey for all workers of this run; they end soon after the last worker."""
    folder = Path(tempfile.gettempdir()) / f"calcom-tests-{testrun_uid[:12]}"
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with local.join(folder, durable=False, keep_data=False) as running, leaving_last(shared / "servers.users") as last:
        yield running
        nothing_leaked_anywhere(running if last() else None, folder / "log", own)


@pytest.fixture
def no_schema() -> None:
    """Asked for by tests whose environment shall have no schema yet: what they run makes it."""


def wants_it_made(names: Collection[str]) -> bool:
    """Whether a test with these fixtures begins with the schema of this release."""
    return "database" in names or ("environment" in names and not {"no_schema", "empty_database"} & {*names})


@pytest.fixture
def schema_name(request: pytest.FixtureRequest) -> str:
    """A test's own: one that another test has left empty where this one wants it made, else a name of none."""
    spare = request.getfixturevalue("schemas").take() if wants_it_made(request.fixturenames) else None
    return spare or f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def schemas(servers: local.Servers) -> Iterator[Schemas]:
    """The schemas that tests of this worker take over from one another."""
    made = Schemas(servers.database_url)
    yield made
    made.end()


@pytest.fixture(scope="session")
def sessions(servers: local.Servers) -> Iterator[SessionPool]:
    """Sessions that the tests of this worker share: a new one costs PostgreSQL more than most tests ask of it."""
    with SessionPools() as pools:
        yield pools.pool(servers.database_url)


@pytest.fixture
def empty_database(sessions: SessionPool, schemas: Schemas, schema_name: str) -> Iterator[Database]:
    """A database whose schema does not exist yet."""
    yield Database(sessions, schema_name, DatabaseBounds())
    schemas.give_back(schema_name)


@pytest.fixture
def database(empty_database: Database, schemas: Schemas) -> Database:
    """A database with the schema of this release and nothing in it."""
    made_by(schemas, empty_database)
    return empty_database


def made_by(schemas: Schemas, database: Database) -> None:
    """Make the schema if it was not taken over."""
    if not schemas.is_made(database.schema):
        migrate(database, shipped_migrations())
        schemas.keep(database.schema)


@pytest.fixture
def redis_url(servers: local.Servers, worker_id: str) -> str:
    """A Redis database of this worker's own."""
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw")) + 1
    assert number < _REDIS_DATABASES, "at most 15 workers: Valkey has 16 databases"
    return servers.redis_url.replace("db=0", f"db={number}")


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """An empty Redis that has been there for long: what is fetched does not settle."""
    client = redis.Redis.from_url(redis_url)
    client.flushdb()
    long_there(client)
    yield client
    client.close()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """A small generated account without a limit to speak of, for tests that only need some account."""
    with serve_sandbox(
        "generated", event_types=8, teams=1, bookings=60, seed=7, limit=1_000_000, window_seconds=60
    ) as running:
        yield running


@pytest.fixture
def environment(
    request: pytest.FixtureRequest,
    servers: local.Servers,
    sessions: SessionPool,
    schemas: Schemas,
    schema_name: str,
    redis_url: str,
    redis_client: redis.Redis,
    sandbox: RunningSandbox,
) -> Iterator[dict[str, str]]:
    """Variables that point every command at this test's own schema, Redis and account, with nothing in them."""
    sandbox.control.reset(account=True)
    if wants_it_made(request.fixturenames):
        made_by(schemas, Database(sessions, schema_name, DatabaseBounds()))
    yield {
        "CALCOM_ENV_FILE": "",
        "CALCOM_BASE_URL": sandbox.url,
        "CALCOM_API_KEY": sandbox.keys["owner"],
        "CALCOM_APPLY": "auto",
        "CALCOM_DATABASE_SCHEMA": schema_name,
        "CALCOM_RATE_LIMIT_PER_MINUTE": "100000",
        "CALCOM_RATE_BURST_REQUESTS": "50",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": redis_url,
        "DAGSTER_PG_URL": servers.dagster_pg_url,
    }
    if "empty_database" not in request.fixturenames:  # which gives it back
        schemas.give_back(schema_name)


@pytest.fixture
def in_environment(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same, for code that runs in this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment

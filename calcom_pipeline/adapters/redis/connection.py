"""One way to open Redis and to read a script; errors of the driver become `CacheError` with a sentence."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.retry import Retry

from calcom_pipeline.adapters.certificates import certificate_trouble
from calcom_pipeline.adapters.redis.patience import LeftAlone, Patience, bounded, operation
from calcom_pipeline.domain.errors import CacheError, ConfigurationError

Client = redis.Redis
_TRUST = "If an authority of your own has signed it, name its file in REDIS_URL: ?ssl_ca_certs=/path/to/ca.pem."
_WRITTEN_MS = 1000  # what a doctor wrote is gone soon, even if it dies in between


@dataclass(frozen=True, slots=True)
class RedisBounds:
    """How long Redis is waited for; see the settings `redis_seconds` and `redis_pause_seconds`."""

    total_seconds: float = 3.0
    pause_seconds: float = 10.0


@contextmanager
def open_redis(
    url: str, bounds: RedisBounds | None = None, *, greet: Callable[[Any], None] | None = None
) -> Generator[Client]:
    """A client that is open as long as the block. `url` is redis://, rediss:// or unix://.

    `greet` is called with every new connection instead of its `on_connect`.

    Raises:
        ConfigurationError: when the URL cannot be understood.
    """
    limits = bounds or RedisBounds()
    try:
        pool: Any = redis.ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # redis-py types keywords loosely
            url,
            health_check_interval=30,
            # Once more at once: connections that idled through a restart of the server are dead. No patience beyond
            # that, since callers have better things to do without Redis than to wait for it.
            retry=Retry(NoBackoff(), 1),
            redis_connect_func=greet,
        )
    except ValueError:
        raise ConfigurationError(["REDIS_URL is no redis://, rediss:// or unix:// address"]) from None
    pool.connection_class = bounded(pool.connection_class)
    pool.connection_kwargs["patience"] = Patience(limits.total_seconds, limits.pause_seconds)
    client = redis.Redis.from_pool(pool)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def redis_failures(doing: str) -> Generator[None]:
    """Name the driver's errors; what is done in the block is one operation, bounded as a whole.

    The URL, which may hold a password, is never quoted.

    Raises:
        CacheError: instead of any error of redis-py.
    """
    try:
        with operation():
            yield
    except RedisError as error:
        if trouble := certificate_trouble(error):
            raise CacheError(f"{doing}: the certificate of Redis {trouble}", advice=_TRUST) from None
        sentence, advice = _explained(error)
        raise CacheError(f"{doing}: {sentence}", advice=advice) from None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What kind of server answers. `evicts` says that a full memory drops keys."""

    name: str
    version: int
    policy: str
    evicts: bool


def facts(client: Client) -> ServerFacts | None:
    """Ask the server what it is; None where this user may not."""
    with redis_failures("Connecting to Redis"):
        try:
            info: Any = client.info()  # pyright: ignore[reportUnknownMemberType]  # redis-py types it loosely
        except NoPermissionError:
            return None
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    full_some_day = int(info.get("maxmemory", 0)) > 0
    return ServerFacts(name, int(version.split(".", maxsplit=1)[0]), policy, full_some_day and policy != "noeviction")


def require_writing(client: Client, key: str) -> None:
    """Write one value and take it away again, as everything here does.

    Raises:
        CacheError: Redis is away, full, a replica, or this user may not.
    """
    with redis_failures("Writing to Redis"):
        client.set(key, 1, px=_WRITTEN_MS)
        client.delete(key)


_CHECK = "Check REDIS_URL and the server."
_ROOM = "Give it more memory (maxmemory); until then nothing is cached and the limiter is each process's own."

#: Error of the driver, its sentence, what to do.
_KNOWN: tuple[tuple[type[RedisError], str, str], ...] = (
    (AuthenticationError, "Redis refuses the password", "Check REDIS_URL."),
    (OutOfMemoryError, "Redis is full and drops nothing (maxmemory, noeviction)", _ROOM),
    (ReadOnlyError, "Redis is a replica that only reads", "Point REDIS_URL at the primary server."),
    (BusyLoadingError, "Redis is loading its data", "Try again in some seconds."),
    (
        redis.TimeoutError,
        "Redis did not answer in time",
        "Try again; if it stays silent, " + _CHECK[0].lower() + _CHECK[1:],
    ),
    (redis.ConnectionError, "Redis cannot be reached", _CHECK),
)


def _explained(error: RedisError) -> tuple[str, str]:
    """What happened, and what to do."""
    if isinstance(error, LeftAlone):
        return str(error), "Try again then; if it stays silent, check REDIS_URL and the server."
    for kind, sentence, advice in _KNOWN:
        if isinstance(error, kind):
            return sentence, advice
    error_text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    # A script passes on what stopped it in words alone.
    if "maxmemory" in error_text:
        return "Redis is full and drops nothing (maxmemory, noeviction)", _ROOM
    if "read only replica" in error_text:
        return "Redis is a replica that only reads", "Point REDIS_URL at the primary server."
    return f"Redis refuses ({error_text})", _CHECK


@cache
def script(*names: str) -> str:
    """The text of a Lua script of this package; of several they are parts, in order."""
    folder = resources.files("calcom_pipeline.adapters.redis") / "scripts"
    return "\n".join((folder / f"{name}.lua").read_text() for name in names)

"""One way to open Redis and to read a script; errors of the driver become `CacheError` with a sentence."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from calcom_pipeline.adapters.certificates import certificate_trouble
from calcom_pipeline.domain.errors import CacheError, ConfigurationError

Client = redis.Redis
_TRUST = "If an authority of your own has signed it, name its file in REDIS_URL: ?ssl_ca_certs=/path/to/ca.pem."
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 5.0


@contextmanager
def open_redis(url: str) -> Generator[Client]:
    """A client that is open as long as the block. `url` is redis://, rediss:// or unix://.

    Raises:
        ConfigurationError: when the URL cannot be understood.
    """
    try:
        client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # redis-py types keywords loosely
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            health_check_interval=30,
            # Once more at once: connections that idled through a restart of the server are dead. No patience beyond
            # that, since callers have better things to do without Redis than to wait for it.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise ConfigurationError(["REDIS_URL is no redis://, rediss:// or unix:// address"]) from None
    try:
        yield client
    finally:
        client.close()


@contextmanager
def redis_failures(doing: str) -> Generator[None]:
    """Name the driver's errors. The URL, which may hold a password, is never quoted."""
    try:
        yield
    except AuthenticationError:
        raise CacheError(f"{doing}: Redis refuses the password", advice="Check REDIS_URL.") from None
    except RedisError as error:
        if trouble := certificate_trouble(error):
            raise CacheError(f"{doing}: the certificate of Redis {trouble}", advice=_TRUST) from None
        raise CacheError(f"{doing}: {_sentence(error)}", advice="Check REDIS_URL and the server.") from None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What kind of server answers. `evicts` says that a full memory drops keys."""

    name: str
    version: int
    policy: str
    evicts: bool


def facts(client: Client) -> ServerFacts:
    """Ask the server what it is."""
    with redis_failures("Connecting to Redis"):
        info: Any = client.info()  # pyright: ignore[reportUnknownMemberType]  # redis-py types it loosely
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    full_some_day = int(info.get("maxmemory", 0)) > 0
    return ServerFacts(name, int(version.split(".", maxsplit=1)[0]), policy, full_some_day and policy != "noeviction")


def _sentence(error: RedisError) -> str:
    if isinstance(error, redis.ConnectionError):
        return "Redis cannot be reached"
    if isinstance(error, redis.TimeoutError):
        return "Redis did not answer in time"
    return f"Redis refuses ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})"


@cache
def script(name: str) -> str:
    """The text of a Lua script of this package."""
    return (resources.files("calcom_pipeline.adapters.redis") / "scripts" / f"{name}.lua").read_text()

"""Settings of a test's own world, and the variables that say the same to a command."""

from typing import Any

from pydantic import SecretStr

from calcom_pipeline.local import Servers
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import Settings

#: Hardly a limit, for tests of anything but the limiter.
ROOMY_LIMIT = 10_000


def settings_of(
    sandbox: RunningSandbox, servers: Servers, schema_name: str, redis_url: str, **changes: Any
) -> Settings:
    """Alice's key on this sandbox, this schema, this Redis; impatient with Cal.com."""
    plain = Settings(
        api_key=SecretStr(sandbox.keys["alice"]),
        base_url=sandbox.url,
        database_url=SecretStr(servers.database_url),
        redis_url=SecretStr(redis_url),
        database_schema=schema_name,
        rate_limit_per_minute=ROOMY_LIMIT,
        rate_burst_requests=50,
        create_grace_seconds=0.3,
        read_timeout_seconds=2,
    )
    return plain.model_copy(update=changes)


def variables_of(settings: Settings) -> dict[str, str]:
    """What a shell would export for the same world."""

    def plain(secret: SecretStr | None) -> str:
        return secret.get_secret_value() if secret else ""

    return {
        "CALCOM_API_KEY": plain(settings.api_key),
        "CALCOM_BASE_URL": settings.base_url,
        "DATABASE_URL": plain(settings.database_url),
        "REDIS_URL": plain(settings.redis_url),
        "CALCOM_DATABASE_SCHEMA": settings.schema_name,
        "CALCOM_RATE_LIMIT_PER_MINUTE": str(settings.rate_limit_per_minute),
    }

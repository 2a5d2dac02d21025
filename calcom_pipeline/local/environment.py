"""The embedded servers as environment variables, for shells and child processes."""

import shlex
from collections.abc import Mapping

from calcom_pipeline.local.values import Servers


def environment(servers: Servers) -> dict[str, str]:
    """The variables under which the pipeline and Dagster look for these servers."""
    return {
        "DATABASE_URL": servers.database_url,
        "DAGSTER_PG_URL": servers.dagster_pg_url,
        "REDIS_URL": servers.redis_url,
    }


def shell_exports(mapping: Mapping[str, str]) -> str:
    """One `export NAME='value'` line per variable, safe to `eval` in a POSIX shell whatever the values hold.

    Raises ValueError for a name that no shell takes as a variable's, or a value with a NUL byte.
    """
    for name, value in mapping.items():
        if not (name.isascii() and name.isidentifier()) or "\0" in value:
            raise ValueError(f"{name!r} cannot be exported to a shell")
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in mapping.items())


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"

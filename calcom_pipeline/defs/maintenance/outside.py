"""What stands outside, on the graph: the business's services, Cal.com, Redis; and whether requests to Cal.com pass.

They are not made here, so they are observed: how much is there, what was changed, what is left to spend.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import GROUPS
from calcom_pipeline.app.reports.caches import look_at_ages
from calcom_pipeline.app.reports.limits import LOOK_BACK, LimiterNow, limiter_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import newest, shown
from calcom_pipeline.defs.metadata import see_also
from calcom_pipeline.defs.pictures import LIMITER_PICTURE, latencies, limiter_use

_A_DAY = timedelta(days=1)
_MEGABYTE = 1_000_000
#: Cal.com and Redis have no version of their own: what is made of them is not outdated because they were looked at.
_ALWAYS = dg.DataVersion("live")


@dataclass(frozen=True, slots=True)
class _Outside:
    """What is shown of one of them, and what looks at it."""

    group: str
    kinds: frozenset[str]
    about: str
    newest: str
    look: Callable[[Container], tuple[dg.DataVersion, dict[str, Any]]]


def _services(container: Container) -> tuple[dg.DataVersion, dict[str, Any]]:
    table = container.reports.figures.service_table(since=utc_now() - _A_DAY)
    newest = f"{table.changed_at:%Y-%m-%d %H:%M:%S} UTC" if table.changed_at else "none yet"
    return dg.DataVersion(f"{table.rows}:{table.changed_at}"), {
        "summary": f"{table.rows} services; newest change {newest}.",
        **see_also(container.settings, "services"),
        "dagster/row_count": table.rows,
        "newest change": newest,
        "changes in the last 24 hours": table.changes_of_a_day,
    }


def _cal_com(container: Container) -> tuple[dg.DataVersion, dict[str, Any]]:
    now, at = _limiter(container), utc_now()
    calls = container.reports.overview.calls_by_minute(since=at - LIMITER_PICTURE)
    times = container.reports.figures.latencies(since=at - LOOK_BACK)
    return _ALWAYS, {
        "summary": " ".join(_sentences(now)),
        **see_also(container.settings, "h-calls"),
        **limiter_use(calls, container.settings, now=at),
        **latencies(times, container.settings),
        **_limiter_numbers(now),
    }


def _redis(container: Container) -> tuple[dg.DataVersion, dict[str, Any]]:
    server = container.limits.server.look()
    bound = f" of {server.longest_bytes / _MEGABYTE:.0f}" if server.longest_bytes else ""
    used = f"{server.used_bytes / _MEGABYTE:.1f}{bound} MB"
    return _ALWAYS, {
        "summary": f"{server.keys} keys in {used} (version {server.version}).",
        **see_also(container.settings, "h-cache"),
        **_ages(container),
        "keys": server.keys,
        "megabytes used": round(server.used_bytes / _MEGABYTE, 2),
        "keys dropped for want of memory": server.evicted,
    }


def _ages(container: Container) -> dict[str, Any]:
    """How old the cached days are: Dagster plots it over time, and the report does, from what is kept."""
    found = look_at_ages(container.reports.cache_ages, container.availability.cache, now=utc_now())
    if found is None:
        return {}
    return {
        "cached days looked at": found.sampled,
        "cached days fresh, percent": round(100 * found.fresh_share, 1),
        "age of cached days, median, seconds": round(found.median_seconds, 1),
        "age of cached days, oldest, seconds": round(found.oldest_seconds, 1),
    }


_OUTSIDE = {
    "services_table": _Outside(
        "outside",
        frozenset({"postgres", "table"}),
        "Your own services: what can be booked, and for how long. The pipeline's table `services`, or the table of "
        "yours that was attached (`calcom-pipeline services attach`). Edit it as you like: a sensor sees it within "
        "seconds, and the event types at Cal.com follow.",
        "rows and changes",
        _services,
    ),
    "cal_com": _Outside(
        "outside",
        frozenset({"calcom"}),
        "The Cal.com account: its event types, its bookings, its calendars' free times. Its API takes 120 requests "
        "a minute and then blocks the key for a minute, so all processes share one limiter.",
        "calls against the limit, latencies",
        _cal_com,
    ),
    "redis": _Outside(
        "availability",
        frozenset({"redis"}),
        "Redis: the cached free days that websites read (docs/redis-keys.md), the limiter's state and the circuits. "
        "All of it can be lost at any time: it is fetched anew.",
        "keys, age of the cached days",
        _redis,
    ),
}


def _observed(account: Account, name: str, outside: _Outside) -> dg.AssetsDefinition:
    def look(container: dg.ResourceParam[Container]) -> dg.ObserveResult:
        with dagster_failures("Looking at what stands outside"):
            version, metadata = outside.look(container)
        return dg.ObserveResult(account.key(name), data_version=version, metadata=metadata)

    spec = dg.AssetSpec(
        account.key(name),
        description=outside.about + newest(account.key(name), outside.newest),
        group_name=outside.group,
        kinds=set(outside.kinds),
        owners=OWNERS,
        tags={"account": account.name, "made": "outside"},
        deps=[account.key("slots")] if name == "redis" else [],
        metadata=column_schema("services_source" if name == "services_table" else name),
    )
    with warnings.catch_warnings():  # beta in the release we pin; it would stand above every command's output
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        observed = dg.multi_observable_source_asset(specs=[spec], name=account.named(f"look_at_{name}"))
        return observed(account.given_to(look))


def _limiter(container: Container) -> LimiterNow:
    limits = container.limits
    return limiter_now(limits.limiter, limits.breaker, container.reports.figures, groups=list(GROUPS), now=utc_now())


def _sentences(now: LimiterNow) -> list[str]:
    if now.problems:
        return [f"{shown(problem)}." for problem in now.problems]
    return [f"{now.left} of {now.spendable} requests may still be sent in this window; none was refused lately."]


def _limiter_numbers(now: LimiterNow) -> dict[str, Any]:
    minutes = LOOK_BACK // timedelta(minutes=1)
    return {
        "requests left in this window": now.left,
        "requests that a window has": now.spendable,
        f"requests in {minutes} minutes": now.calls.sent,
        f"requests refused in {minutes} minutes": now.calls.refused,
        f"requests failed in {minutes} minutes": now.calls.failed,
        "requests of others with the same key": now.others,
        "callers waiting": now.waiting,
        "seconds until the key is free": round(now.paused_seconds, 1),
    }


def limiter_healthy(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """Warns: what waits is sent later, nothing is lost."""
    with dagster_failures("Looking at the limiter"):
        now = _limiter(container)
    return dg.AssetCheckResult(
        passed=not now.problems,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(_sentences(now)),
        metadata=_limiter_numbers(now),
    )


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """What stands outside, of an account."""
    return [_observed(account, name, outside) for name, outside in _OUTSIDE.items()]


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """The one of an account."""
    healthy = dg.asset_check(
        asset=account.key("cal_com"),
        description="Requests to Cal.com pass: no block, no open circuit, none refused in the last hour.",
    )
    return [healthy(account.given_to(limiter_healthy))]

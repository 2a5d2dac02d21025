"""What people ask about everything."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.database import Database
    from calcom_pipeline.adapters.postgres.reports.cache_ages import PostgresCacheAges
    from calcom_pipeline.adapters.postgres.reports.figures import PostgresFigures
    from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview
    from calcom_pipeline.adapters.postgres.reports.report import PostgresReportReads
    from calcom_pipeline.app.reports.models import AccountReport, LastRun, LimiterState, Webhooks
    from calcom_pipeline.app.reports.report import ReportRules
    from calcom_pipeline.bootstrap.container import Container


class ReportGroup:
    """What `status`, the UI and reports are made of."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    @cached_property
    def overview(self) -> "PostgresOverview":
        """Counts, watermarks, problems."""
        from calcom_pipeline.adapters.postgres.reports.overview import PostgresOverview

        return PostgresOverview(self._database)

    @cached_property
    def figures(self) -> "PostgresFigures":
        """Counts and times for pictures and checks."""
        from calcom_pipeline.adapters.postgres.reports.figures import PostgresFigures

        return PostgresFigures(self._database)

    @cached_property
    def cache_ages(self) -> "PostgresCacheAges":
        """How old the cached days were, by hour."""
        from calcom_pipeline.adapters.postgres.reports.cache_ages import PostgresCacheAges

        return PostgresCacheAges(self._database)


def report_of(container: "Container", *, now: datetime) -> "AccountReport":
    """Everything about the container's account, as of now. Raises what `make_report` does."""
    from calcom_pipeline.adapters.postgres.reports.report import PostgresReportReads
    from calcom_pipeline.app.reports.ports import ReportSources
    from calcom_pipeline.app.reports.report import make_report

    container.require_schema()
    reads = PostgresReportReads(container.database)
    sources = ReportSources(
        services=container.services.store,
        reads=reads,
        limits=_Limits(container),
        webhooks=_Deliveries(container, reads),
        runs=_Runs(container),
    )
    return make_report(sources, rules=report_rules(container), now=now)


def report_rules(container: "Container") -> "ReportRules":
    """How the account is judged."""
    from calcom_pipeline.app.reports.report import ReportRules

    s = container.settings
    return ReportRules(
        account=s.account,
        mode=container.services.apply_mode,
        zone=s.zone,
        calls_per_minute=s.rate_limit_per_minute,
        event_types_late=timedelta(minutes=s.report_stale_minutes),
        bookings_late=timedelta(seconds=s.booking_freshness_seconds),
        slots_late=timedelta(minutes=s.report_stale_minutes),
        cache_life=timedelta(seconds=s.slot_ttl_seconds),
        field_owners=s.field_owners,
    )


class _Limits:
    """The limiter and the circuits of the key."""

    def __init__(self, container: "Container") -> None:
        self._container = container

    def limiter(self) -> "LimiterState":
        from calcom_pipeline.app.reports.models import LimiterState

        view = self._container.limits.limiter.view()
        return LimiterState(
            view.used, view.spendable, view.others, view.waiting, view.paused_seconds, view.window_seconds
        )

    def circuits(self) -> Mapping[str, str]:
        from calcom_pipeline.adapters.calcom.client import GROUPS

        return dict(self._container.limits.breaker.states(list(GROUPS)))


class _Deliveries:
    """Subscriptions as they were last found, and deliveries; nothing is measured anew, since that writes."""

    def __init__(self, container: "Container", reads: "PostgresReportReads") -> None:
        self._container = container
        self._reads = reads

    def webhooks(self, *, now: datetime) -> "Webhooks":
        from calcom_pipeline.app.reports.models import Webhooks, WrongScope

        group = self._container.subscriptions
        states, last = self._reads.deliveries()
        known = group.store.known()
        rules = group.measure_rules
        counted = group.findings.arrivals(since=now - rules.window, before=now - rules.arrival)
        return Webhooks(
            wanted=group.is_wanted,
            right=sum(one.state == "right" for one in known),
            wrong=[
                WrongScope(str(one.scope), one.state, one.reason, one.checked_at)
                for one in known
                if one.state != "right"
            ],
            arrivals=counted if group.is_wanted else None,
            deliveries=states,
            last_delivery_at=last,
        )


class _Runs:
    """Dagster's runs, where there is a Dagster."""

    def __init__(self, container: "Container") -> None:
        self._container = container

    def last_runs(self, *, limit: int) -> "Sequence[LastRun]":
        from calcom_pipeline.adapters.postgres.reports.report import last_runs
        from calcom_pipeline.bootstrap.connections import database_bounds
        from calcom_pipeline.bootstrap.dagster_instance import known_dagster_url

        url = known_dagster_url(self._container)
        return [] if url is None else last_runs(url, limit=limit, bounds=database_bounds(self._container.settings))

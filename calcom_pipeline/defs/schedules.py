"""Schedules that run out of the box. Calls: about 70 a slots refresh, 2 a bookings read."""

import dagster as dg

from calcom_pipeline.defs import jobs

ALL = [
    dg.ScheduleDefinition(
        name="services_every_15_minutes",
        job=jobs.services_sync,
        cron_schedule="3-59/15 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Finds what changed at Cal.com, and tries again what failed; sensors are faster for own changes.",
    ),
    dg.ScheduleDefinition(
        name="bookings_every_5_minutes",
        job=jobs.bookings_mirror,
        cron_schedule="*/5 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Two calls while nothing changes; webhooks and sensors are faster, this one misses nothing.",
    ),
    dg.ScheduleDefinition(
        name="bookings_reread_hourly",
        job=jobs.bookings_reread,
        cron_schedule="22 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A call per 250 bookings around now; finds what moves no timestamp.",
    ),
    dg.ScheduleDefinition(
        name="bookings_full_read_weekly",
        job=jobs.bookings_full_read,
        cron_schedule="41 3 * * 0",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A call per 250 bookings, behind everything else; finds every deletion.",
    ),
    dg.ScheduleDefinition(
        name="slots_every_30_minutes",
        job=jobs.slots_refresh,
        cron_schedule="7,37 * * * *",  # off the full hour, when everybody else's schedules fire
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="One call per event type and length.",
    ),
    dg.ScheduleDefinition(
        name="webhooks_every_15_minutes",
        job=jobs.webhook_subscriptions,
        cron_schedule="11-59/15 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A call per subscription, CALCOM_WEBHOOK_SCOPES at most; none without CALCOM_WEBHOOK_URL.",
    ),
    dg.ScheduleDefinition(
        name="retention_daily",
        job=jobs.retention,
        cron_schedule="52 2 * * *",  # before the weekly full read, which has the night to itself
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="No call: deletes our own records and Dagster's past their lifetimes (CALCOM_*_RETENTION_DAYS).",
    ),
]

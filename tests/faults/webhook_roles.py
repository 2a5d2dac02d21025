"""A receiver and drains for the harness, as `serve` and Dagster would run them."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.bookings.privacy import load_pseudonyms
from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.adapters.postgres.webhooks.inbox import PostgresInbox
from calcom_pipeline.app.webhooks.drain import DrainRules, drain
from calcom_pipeline.app.webhooks.receive import Intake, IntakeOptions
from calcom_pipeline.domain.bookings.people import People
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web.webhooks import WebhookOptions, webhook_routes
from tests.faults.harness import SCHEMA, Desk
from tests.support.commands import argv, bare
from tests.support.deliveries import SECRET

QUICK = DatabaseBounds(connect_seconds=2, answer_seconds=1, lock_seconds=1, write_seconds=1, attempts=1)
RULES = DrainRules(lease=timedelta(seconds=3), first_retry=timedelta(seconds=0.2))
SPOOL_BYTES = 100_000_000


def now() -> datetime:
    return datetime.now(UTC)


def inbox_of(database: Database) -> PostgresInbox:
    return PostgresInbox(database, "keep", lambda: People("keep", load_pseudonyms(database, None)))


def receiver(desk: Desk, port: int, folder: str) -> None:
    """Takes deliveries in until it is killed."""
    options = IntakeOptions(lambda: [SECRET], pause_seconds=0.2)
    spool = FileSpool(Path(folder), most_bytes=SPOOL_BYTES)
    with (
        open_database(desk.place.database_url, schema=SCHEMA, bounds=QUICK) as database,
        Intake(
            inbox_of(database), spool, options, now=now, troubled=lambda why, n: desk.tell("troubled", why=why, lost=n)
        ) as intake,
    ):
        app = Starlette(routes=webhook_routes(intake, WebhookOptions()))
        uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off")


def serving(desk: Desk, port: int, folder: str) -> None:
    """This process becomes `calcom-pipeline serve`, until it is killed."""
    place = desk.place
    variables = {
        "CALCOM_BASE_URL": place.url,
        "CALCOM_API_KEY": place.key,
        "CALCOM_DATABASE_SCHEMA": SCHEMA,
        "DATABASE_URL": place.database_url,
        "REDIS_URL": place.redis_url,
        "CALCOM_WEBHOOK_SECRET": SECRET.decode(),
        "CALCOM_WEBHOOK_SPOOL_FOLDER": folder,
        "CALCOM_WEBHOOK_PAUSE_SECONDS": "0.2",
        "CALCOM_WEBHOOK_STORE_SECONDS": "1",
        "CALCOM_WEBHOOK_LEASE_SECONDS": "5",
        "CALCOM_RATE_LIMIT_PER_MINUTE": "100000",
        "CALCOM_RATE_BURST_REQUESTS": "50",
        "CALCOM_LOOK_SECONDS": "1",
        "CALCOM_ENV_FILE": "",
    }
    log = os.open(place.folder / f"{desk.name}.out", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    words = argv("serve", "--port", str(port))
    os.execve(words[0], words, bare(variables))


def drainer(desk: Desk, folder: str) -> None:
    """Deals with deliveries until it is killed; no failure ends it."""
    spool = FileSpool(Path(folder), most_bytes=SPOOL_BYTES)
    with desk.calcom() as calcom, open_database(desk.place.database_url, schema=SCHEMA) as database:
        mirror, inbox = PostgresBookingMirror(database), inbox_of(database)
        while True:
            try:
                report = drain(calcom, mirror, inbox, spool, now=now, rules=RULES)
                if report.settled:
                    desk.tell("drained", done=report.done, quarantined=report.quarantined)
                else:
                    time.sleep(0.02)
            except PipelineError as error:
                desk.tell("failed", kind=type(error).__name__, why=str(error))
                time.sleep(0.05)

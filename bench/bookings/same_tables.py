"""The least that filling our own tables can cost: keep-alive pages by key, orjson, binary COPY, one transaction.

The tables are ours, made by our migrations, with all their indexes; every column that comes from Cal.com is filled. It
checks nothing, confirms nothing, remembers nothing, hides nobody, and takes each booking for new.
"""

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb

from bench.bookings.lower_bound import Row, pages
from bench.child import calls_so_far, cpu_seconds_so_far, tell
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.settings import load_settings

SCHEMA = "bench_same_tables"
BOOKINGS = {
    "uid": "text", "id": "int8", "status": "text", "title": "text", "description": "text", "starts_at": "timestamptz",
    "ends_at": "timestamptz", "event_type_id": "int8", "event_type_slug": "text", "location": "text",
    "cancellation_reason": "text", "rescheduled_from_uid": "text", "rescheduled_to_uid": "text",
    "recurring_uid": "text", "absent_host": "bool", "created_at": "timestamptz", "updated_at": "timestamptz",
    "raw": "jsonb", "payload_hash": "bytea", "read_started_at": "timestamptz",
}  # fmt: skip
ATTENDEES = {
    "booking_uid": "text", "position": "int4", "email": "text", "name": "text", "time_zone": "text",
    "language": "text", "absent": "bool", "phone_number": "text", "seat_uid": "text",
}  # fmt: skip
HOSTS = {
    "booking_uid": "text", "position": "int4", "user_id": "int8", "username": "text", "name": "text", "email": "text",
    "time_zone": "text",
}  # fmt: skip
Cursor = psycopg.Cursor[Any]


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def booking(r: Row, read_at: datetime) -> tuple[Any, ...]:
    kind = r["eventType"] or {}
    return (
        r["uid"], r["id"], r["status"], r["title"], r["description"], instant(r["start"]), instant(r["end"]),
        r["eventTypeId"], kind.get("slug"), r["location"], r["cancellationReason"] or "", r.get("rescheduledFromUid"),
        r.get("rescheduledToUid"), r.get("recurringBookingUid"), r["absentHost"], instant(r["createdAt"]),
        instant(r["updatedAt"]), Jsonb(orjson.dumps(r), dumps=bytes), b"", read_at,
    )  # fmt: skip


def attendees(r: Row) -> Iterator[tuple[Any, ...]]:
    for n, a in enumerate(r["attendees"]):
        person = (a["email"], a["name"], a["timeZone"], a["language"], a["absent"])
        yield r["uid"], n, *person, a.get("phoneNumber"), a.get("seatUid")


def hosts(r: Row) -> Iterator[tuple[Any, ...]]:
    for n, h in enumerate(r["hosts"]):
        yield r["uid"], n, h["id"], h["username"], h["name"], h["email"], h["timeZone"]


def copy(cursor: Cursor, table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)") as sink:
        sink.set_types(list(columns.values()))
        for row in rows:
            sink.write_row(row)


def store(batches: Iterable[list[Row]]) -> int:
    """How many bookings there are; a page begins with what the last one ended with."""
    known: set[str] = set()
    stored = 0
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL search_path TO {SCHEMA}")
        for batch in batches:
            now, new = datetime.now(UTC), [r for r in batch if r["uid"] not in known]
            copy(cursor, "bookings", BOOKINGS, (booking(r, now) for r in new))
            copy(cursor, "booking_attendees", ATTENDEES, (a for r in new for a in attendees(r)))
            copy(cursor, "booking_hosts", HOSTS, (h for r in new for h in hosts(r)))
            known = {r["uid"] for r in batch}
            stored += len(new)
    return stored


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    with ready_container(load_settings({**os.environ, "CALCOM_DATABASE_SCHEMA": SCHEMA})) as container:
        container.require_schema()
    began, cpu = time.perf_counter(), cpu_seconds_so_far()
    read = store(pages(os.environ["CALCOM_BASE_URL"], os.environ["CALCOM_API_KEY"]))
    seconds, cpu = time.perf_counter() - began, cpu_seconds_so_far() - cpu
    tell(rows=read, seconds=seconds, read_cpu_seconds=cpu, calls=calls_so_far())


if __name__ == "__main__":
    main()

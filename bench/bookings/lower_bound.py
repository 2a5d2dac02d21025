"""The least that mirroring bookings can cost: keep-alive pages by key, orjson, COPY, one upsert, no safety at all.

It checks nothing, confirms nothing, remembers nothing and loses rows that share a key with a page's last. Tables have
their primary keys and nothing else. What it costs is what any mirror must pay on this machine.
"""

import http.client
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import psycopg

from bench.child import calls_so_far, tell

PAGE = 250
TABLES = """
DROP SCHEMA IF EXISTS lower_bound CASCADE; CREATE SCHEMA lower_bound; SET search_path TO lower_bound;
CREATE TABLE bookings (uid text PRIMARY KEY, id bigint, status text, title text, description text,
    starts_at timestamptz, ends_at timestamptz, event_type_id bigint, location text, created_at timestamptz,
    updated_at timestamptz, raw jsonb);
CREATE TABLE attendees (booking_uid text, position integer, email text, name text, time_zone text, language text,
    absent boolean, PRIMARY KEY (booking_uid, position));
CREATE TABLE hosts (booking_uid text, position integer, user_id bigint, username text, name text, email text,
    time_zone text, PRIMARY KEY (booking_uid, position))"""
STAGES = """
SET search_path TO lower_bound;
CREATE TEMP TABLE new_bookings (LIKE bookings); CREATE TEMP TABLE new_attendees (LIKE attendees);
CREATE TEMP TABLE new_hosts (LIKE hosts)"""
UPSERT = """
INSERT INTO bookings SELECT DISTINCT ON (uid) * FROM new_bookings
    ON CONFLICT (uid) DO UPDATE SET status = excluded.status, raw = excluded.raw;
INSERT INTO attendees SELECT * FROM new_attendees ON CONFLICT DO NOTHING;
INSERT INTO hosts SELECT * FROM new_hosts ON CONFLICT DO NOTHING"""

Row = dict[str, Any]


def pages(url: str, key: str) -> Iterator[list[Row]]:
    """Pages by creation time."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-08-13"}
    query: dict[str, Any] = {"sortCreated": "asc", "take": PAGE}
    while True:
        connection.request("GET", f"{address.path}/bookings?{urlencode(query)}", headers=headers)
        rows = orjson.loads(connection.getresponse().read())["data"]
        yield rows
        if len(rows) < PAGE:
            return
        query["afterCreatedAt"] = rows[-1]["createdAt"]


def store(batches: Iterable[list[Row]], *, anew: bool = True) -> int:
    """Batches by COPY, then one upsert, in one transaction; how many rows came. `anew` drops what was there."""
    read = 0
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        if anew:
            cursor.execute(TABLES)
        cursor.execute(STAGES)
        for rows in batches:
            read += len(rows)
            with cursor.copy("COPY new_bookings FROM STDIN") as copy:
                for r in rows:
                    copy.write_row((
                        r["uid"], r["id"], r["status"], r["title"], r["description"], r["start"], r["end"],
                        r["eventTypeId"], r["location"], r["createdAt"], r["updatedAt"], orjson.dumps(r).decode(),
                    ))  # fmt: skip
            with cursor.copy("COPY new_attendees FROM STDIN") as copy:
                for r in rows:
                    for n, a in enumerate(r["attendees"]):
                        person = (a["email"], a["name"], a["timeZone"], a["language"], a["absent"])
                        copy.write_row((r["uid"], n, *person))
            with cursor.copy("COPY new_hosts FROM STDIN") as copy:
                for r in rows:
                    for n, h in enumerate(r["hosts"]):
                        copy.write_row((r["uid"], n, h["id"], h["username"], h["name"], h["email"], h["timeZone"]))
        cursor.execute(UPSERT)
    return read


def main() -> None:
    began = time.perf_counter()
    read = store(pages(os.environ["CALCOM_BASE_URL"], os.environ["CALCOM_API_KEY"]))
    tell(rows=read, seconds=time.perf_counter() - began, calls=calls_so_far())


if __name__ == "__main__":
    main()

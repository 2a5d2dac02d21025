"""The least that mirroring bookings can cost: keep-alive pages by key, orjson, COPY, one upsert, no safety at all.

It checks nothing, confirms nothing, remembers nothing and loses rows that share a key with a page's last. Tables have
their primary keys and nothing else. What it costs is what any mirror must pay on this machine.
"""

import http.client
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import psycopg

TABLES = """
DROP SCHEMA IF EXISTS lower_bound CASCADE; CREATE SCHEMA lower_bound; SET search_path TO lower_bound;
CREATE TABLE bookings (uid text PRIMARY KEY, id bigint, status text, title text, description text,
    starts_at timestamptz, ends_at timestamptz, event_type_id bigint, location text, created_at timestamptz,
    updated_at timestamptz, raw jsonb);
CREATE TABLE attendees (booking_uid text, position integer, email text, name text, time_zone text, language text,
    absent boolean, PRIMARY KEY (booking_uid, position));
CREATE TABLE hosts (booking_uid text, position integer, user_id bigint, username text, name text, email text,
    time_zone text, PRIMARY KEY (booking_uid, position));
CREATE TEMP TABLE new_bookings (LIKE bookings); CREATE TEMP TABLE new_attendees (LIKE attendees);
CREATE TEMP TABLE new_hosts (LIKE hosts)"""
UPSERT = """
INSERT INTO bookings SELECT DISTINCT ON (uid) * FROM new_bookings
    ON CONFLICT (uid) DO UPDATE SET status = excluded.status, raw = excluded.raw;
INSERT INTO attendees SELECT * FROM new_attendees ON CONFLICT DO NOTHING;
INSERT INTO hosts SELECT * FROM new_hosts ON CONFLICT DO NOTHING"""


def pages(url: str, key: str) -> Iterator[list[dict[str, Any]]]:
    """Pages of 250 by creation time."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-08-13"}
    query = {"sortCreated": "asc", "take": 250}
    while True:
        connection.request("GET", f"{address.path}/bookings?{urlencode(query)}", headers=headers)
        rows = orjson.loads(connection.getresponse().read())["data"]
        yield rows
        if len(rows) < 250:
            return
        query["afterCreatedAt"] = rows[-1]["createdAt"]


def main() -> None:
    began, read = time.perf_counter(), 0
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for rows in pages(os.environ["CALCOM_BASE_URL"], os.environ["CALCOM_API_KEY"]):
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
    print(orjson.dumps({"rows": read, "seconds": time.perf_counter() - began}).decode())


if __name__ == "__main__":
    main()

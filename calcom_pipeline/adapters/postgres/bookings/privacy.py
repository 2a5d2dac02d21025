"""People in what is stored: the key of their hashed addresses, taking one out, private bookings of team members."""

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import orjson
from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.bookings import statements as queries
from calcom_pipeline.adapters.postgres.bookings.people import read_ours
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement
from calcom_pipeline.adapters.postgres.streams import counts, lock_stream
from calcom_pipeline.adapters.postgres.webhooks.inbox import empty_deliveries
from calcom_pipeline.domain.addresses import canonical
from calcom_pipeline.domain.bookings.listing import Ours, Unreadable, payload_hash
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.people import (
    AttendeePolicy,
    People,
    Pseudonyms,
    busy_time,
    keeps_less,
    needles_of,
    stands_in,
)
from calcom_pipeline.domain.bookings.positions import CHANGES_STREAM
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.text import content_hash

_KEY_BYTES = 32
# Re-reading costs a call each; more than that turn up in the runs to come.
_OURS_AFTER_ALL_PER_RUN = 100
# About 2 MB of payloads.
_ROWS_AT_ONCE = 1000

#: Reads a stored payload as one from the wire.
Reader = Callable[[bytes], Booking | Unreadable]


def load_pseudonyms(database: Database, given: bytes | None) -> Pseudonyms:
    """The key as given, else the one kept in the database, made at first use.

    Raises:
        ConfigurationError: the key is another one than before; hashes and tombstones would no longer match.
    """
    offered = given or secrets.token_bytes(_KEY_BYTES)
    values = {"secret": None if given else offered, "fingerprint": Pseudonyms(offered).fingerprint}
    with database.transaction("Reading the key of hashed addresses") as cursor:
        cursor.execute(queries.PRIVACY_KEY)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(queries.KEEP_PRIVACY_KEY, values)
            cursor.execute(queries.PRIVACY_KEY)
            row = counts(cursor)
    kept = bytes(row[0]) if row[0] is not None else None
    if given is None and kept is not None:
        return Pseudonyms(kept)
    if given is not None and bytes(row[1]) == Pseudonyms(given).fingerprint:
        return Pseudonyms(given)
    raise ConfigurationError(
        ["CALCOM_PRIVACY_KEY is another key than the one that addresses were hashed with before"],
        advice="Set the former key again; with another one, erased people would come back.",
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What erasing a person did; nothing of it tells who that was. `still_host_of`: rows that are a host's stay."""

    id: int
    subject: str
    erased_at: datetime
    bookings: int
    quarantined: int
    users: int
    still_host_of: int
    deliveries: int = 0


class Eraser:
    """Takes a person out of all that is stored, and leaves a tombstone so that no later read brings them back."""

    def __init__(self, database: Database, people: People, read: Reader) -> None:
        self._database = database
        self._people = people
        self._read = read

    def erase(self, who: str, *, now: datetime) -> Receipt:
        """Erase a mail address or a telephone number with its country code, in one transaction.

        Doing it again finds nothing more and renews the receipt.
        """
        pseudonyms = self._people.pseudonyms
        subject, subjects = pseudonyms.subject(who), pseudonyms.subjects(who)
        people = replace(self._people, erased=self._people.erased | subjects)
        with self._database.transaction("Erasing a person", "whole") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            digits = re.sub(r"\D", "", canonical(who)) if "@" not in canonical(who) else None
            needles = [*needles_of(who), *pseudonyms.tokens(who)]
            cursor.execute(queries.FIND_PERSON, {"needles": needles, "digits": digits})
            found = [(uid, raw.encode()) for uid, raw in cursor.fetchall()]
            bookings = sum(self._bare(cursor, uid, raw, people, who) for uid, raw in found)
            quarantined = _empty_records(cursor, people, who)
            users, hosted = _forget_user(cursor, who), _hosted_by(cursor, who)
            deliveries = empty_deliveries(cursor, people, who)
            receipt = Receipt(0, subject.hex()[:16], now, bookings, quarantined, users, hosted, deliveries)
            shown = asdict(replace(receipt, erased_at=now)) | {"erased_at": now.isoformat()}
            values = {"subject": subject, "erased_at": now, "receipt": Jsonb(shown)}
            cursor.execute(queries.KEEP_ERASURE, values)
            return replace(receipt, id=int(counts(cursor)[0]))

    def _bare(self, cursor: Cursor, uid: str, raw: bytes, people: People, who: str) -> bool:
        """Take the person out of one booking; whether there was anything to take."""
        booking = self._read(raw)
        if isinstance(booking, Unreadable):
            return _keep_nothing(cursor, uid)
        hosts = {canonical(host.email) for host in booking.hosts if host.email}
        kept = people.kept(booking, mentioned=canonical(who) not in hosts and stands_in(raw, who))
        if kept is booking or kept.raw == booking.raw:
            return False
        _keep_less(cursor, [kept])
        return True


def _forget_user(cursor: Cursor, who: str) -> int:
    """Take the address from a known user of Cal.com; from how many. Databases know less of letters than we do."""
    known = cursor.execute(queries.USERS).fetchall()
    cursor.execute(
        queries.FORGET_USERS, {"user_ids": [user for email, user in known if canonical(email) == canonical(who)]}
    )
    return cursor.rowcount


def _hosted_by(cursor: Cursor, who: str) -> int:
    """How many rows name the person as a host."""
    found = cursor.execute(queries.HOST_ADDRESSES).fetchall()
    return sum(number for email, number in found if canonical(email) == canonical(who))


def _empty_records(cursor: Cursor, people: People, who: str) -> int:
    cursor.execute(queries.RAW_RECORDS)
    records = [(stream, name, bytes(raw)) for stream, name, raw in cursor.fetchall()]
    named = [(s, name) for s, name, raw in records if stands_in(raw, who) or people.mentions_erased(raw)]
    for stream, name in named:
        cursor.execute(queries.EMPTY_RECORD, {"stream": stream, "hash": name})
    return len(named)


class Tightener:
    """Brings what was stored while more of people was kept under the present policy, listed by Cal.com or not."""

    def __init__(self, database: Database, people: People, read: Reader) -> None:
        self._database = database
        self._people = people
        self._read = read

    def tighten(self) -> int:
        """How many bookings and records had to give something up. One that was killed begins anew and finds less to do.

        It looks until a full read has ended under the present policy, and so finds what a process of the former one
        stores meanwhile.
        """
        with self._database.transaction("Reading how people were kept", "read") as cursor:
            before: list[AttendeePolicy | None] = [policy for _, policy in cursor.execute(queries.POLICIES).fetchall()]
        if not self.is_due(before):
            return 0
        with self._database.transaction("Emptying quarantine", "whole") as cursor:
            lock_stream(cursor, CHANGES_STREAM)
            changed = cursor.execute(queries.EMPTY_RECORDS, {"stream": CHANGES_STREAM}).rowcount
        after: str | None = ""
        while after is not None:
            with self._database.transaction("Keeping less of people", "whole") as cursor:
                lock_stream(cursor, CHANGES_STREAM)
                after, number = self._some(cursor, after)
            changed += number
        return changed

    def is_due(self, before: Iterable[AttendeePolicy | None]) -> bool:
        """Whether one of the policies that listings were read under kept more than the present one."""
        return any(keeps_less(self._people.policy, than=policy or "keep") for policy in before)

    def _some(self, cursor: Cursor, after: str) -> tuple[str | None, int]:
        """The next rows: the last of them, None at the end, and how many were changed."""
        found = cursor.execute(queries.KEPT_PEOPLE, {"after": after, "limit": _ROWS_AT_ONCE}).fetchall()
        changed: list[Booking] = []
        emptied = 0
        for uid, raw, stored_hash in found:
            booking = self._read(raw.encode())
            if isinstance(booking, Unreadable):
                emptied += _keep_nothing(cursor, uid, bytes(stored_hash))
                continue
            kept = self._people.kept(booking)
            changed += [kept] if kept.payload_hash != bytes(stored_hash) else []
        _keep_less(cursor, changed)
        return found[-1][0] if len(found) == _ROWS_AT_ONCE else None, len(changed) + emptied


def _keep_nothing(cursor: Cursor, uid: str, stored_hash: bytes = b"") -> bool:
    """Empty a booking whose payload cannot be taken apart; False if it is empty."""
    nothing = payload_hash(orjson.dumps({"uid": uid}))
    if nothing == stored_hash:
        return False
    cursor.execute(queries.BARE_BOOKING, {"uid": uid, "raw": "{}", "payload_hash": nothing})
    cursor.execute(queries.DROP_ATTENDEES, {"uids": [uid]})
    return True


def _keep_less(cursor: Cursor, changed: Sequence[Booking]) -> None:
    bared = [{"uid": b.uid, "raw": b.raw.decode(), "payload_hash": b.payload_hash} for b in changed]
    people = [{"uid": b.uid, "position": n, **asdict(a)} for b in changed for n, a in enumerate(b.attendees)]
    cursor.executemany(queries.BARE_BOOKING, bared)
    cursor.executemany(queries.KEEP_PERSON, people)


class Classifier:
    """Tells private bookings of team members apart again when what counts as ours has changed."""

    def __init__(self, database: Database, read: Reader) -> None:
        self._database = database
        self._read = read

    def is_due(self, cursor: Cursor) -> bool:
        """Whether there is anything to tell apart."""
        ours = read_ours(cursor)
        if ours is None:
            return False
        row = cursor.execute(queries.CLASSIFIED_BY).fetchone()
        if row is None or row[0] != _name_of(ours):
            return True
        values = {"ids": list(ours.event_type_ids), "limit": 1}
        return cursor.execute(statement(queries.OURS_AFTER_ALL), values).fetchone() is not None

    def reclassify(self) -> list[str]:
        """Reduce what turns out private to busy times; the uids of private ones that turn out to be ours."""
        with self._database.transaction("Telling private bookings apart", "whole") as cursor:
            ours = read_ours(cursor)
            if ours is None:
                return []
            name = _name_of(ours)
            cursor.execute(statement(queries.LOCK_CLASSIFIED_BY))
            row = cursor.fetchone()
            before = row[0] if row else None
            ids = list(ours.event_type_ids)
            if before != name:
                lock_stream(cursor, CHANGES_STREAM)
                # A cursor of the server's: at first these are nearly all bookings.
                with cursor.connection.cursor(name="maybe_private") as rows:
                    rows.itersize = _ROWS_AT_ONCE
                    rows.execute(queries.MAYBE_PRIVATE, {"ids": ids, "first_time": before is None})
                    self._make_private(cursor, ours, rows)
                cursor.execute(queries.KEEP_CLASSIFIED_BY, {"ours": name})
            cursor.execute(statement(queries.OURS_AFTER_ALL), {"ids": ids, "limit": _OURS_AFTER_ALL_PER_RUN})
            return [row[0] for row in cursor.fetchall()]

    def _make_private(self, cursor: Cursor, ours: Ours, rows: Iterable[tuple[str, str]]) -> None:
        uids: list[str] = []
        for uid, raw in rows:
            booking = self._read(raw.encode())
            if isinstance(booking, Unreadable) or not ours.is_private(booking):
                continue
            busy = busy_time(booking)
            values = {"uid": uid, "raw": busy.raw.decode(), "payload_hash": busy.payload_hash}
            cursor.execute(queries.MAKE_PRIVATE, values)
            uids.append(uid)
        if uids:
            cursor.execute(queries.DROP_ATTENDEES, {"uids": uids})
            cursor.execute(queries.PRIVATE_HOSTS, {"uids": uids})


def _name_of(ours: Ours) -> str:
    return content_hash([ours.user_id, ours.email, sorted(ours.event_type_ids), sorted(ours.managed_slugs)])

"""Services through `services_source`, their links, and the feed of their changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.availability.outbox import insert_facts
from calcom_pipeline.adapters.postgres.database import Cursor, Database, statement, tried_again
from calcom_pipeline.adapters.postgres.services import statements as queries
from calcom_pipeline.app.services.ports import FeedBatch
from calcom_pipeline.domain.availability.changes import ChangeEvent
from calcom_pipeline.domain.columns import columns_of
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import local_values, remote_values
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.models import Service

ACTOR = "calcom_pipeline"


class PostgresServiceStore:
    """The view `services_source` and the table `service_links`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def services(self, ids: Sequence[str] | None = None) -> list[Service]:
        """All services by id, or those that are named; values are as they stand, validation judges them."""
        with self._database.transaction("Reading services", "read") as cursor:
            if ids is None:
                cursor.execute(statement(queries.SERVICES))
            else:
                cursor.execute(statement(queries.SERVICES_BY_ID), {"ids": list(ids)})
            return [_service(row) for row in cursor.fetchall()]

    def links(self) -> list[Link]:
        """All links."""
        with self._database.transaction("Reading links", "read") as cursor:
            cursor.execute(queries.LINKS)
            return [_link(row) for row in cursor.fetchall()]

    @tried_again
    def settle(self, links: Sequence[Link]) -> None:
        """Store bookkeeping that planning found settled."""
        with self._database.transaction("Storing links") as cursor:
            cursor.executemany(queries.STORE_LINK, [_link_values(link) for link in links])

    def begin(self, link: Link) -> None:
        """Store an intent before anything is written to Cal.com."""
        self.settle([link])

    @tried_again
    def finish(self, link: Link, facts: Sequence[ChangeEvent] = ()) -> None:
        """Store what came of it and the facts of the change, both or neither."""
        with self._database.transaction("Storing a link") as cursor:
            cursor.execute(queries.STORE_LINK, _link_values(link))
            insert_facts(cursor, facts)

    @tried_again
    def pull(self, link: Link, columns: Mapping[str, object], *, version: str) -> bool:
        """Write columns of a service and its link, both or neither; False if the service's version moved on."""
        with self._database.transaction("Writing a service") as cursor:
            if not _locked(cursor, link.service_id, version):
                return False
            _write_columns(cursor, link.service_id, columns)
            cursor.execute(queries.STORE_LINK, _link_values(link))
        return True

    @tried_again
    def restore(self, service_id: str, columns: Mapping[str, object], *, version: str) -> bool:
        """Write columns of a service as somebody's edit, which the next plan carries over; False if it moved on."""
        with self._database.transaction("Writing a service") as cursor:
            if not _locked(cursor, service_id, version):
                return False
            _write_columns(cursor, service_id, columns)
        return True

    @tried_again
    def add(self, columns: Mapping[str, object], event_type: EventType) -> Service:
        """Insert a service for an event type, with its link."""
        with self._database.transaction("Adding a service") as cursor:
            made = _insert(cursor, columns)
            link = Link(made, event_type.owner, event_type.id, remote_values(event_type))
            cursor.execute(queries.STORE_LINK, _link_values(link))
            cursor.execute(statement(queries.SERVICES_BY_ID), {"ids": [made]})
            return _service(cursor.fetchall()[0])

    @tried_again
    def insert(self, columns: Mapping[str, object]) -> str:
        """Insert a service without a link; its id."""
        with self._database.transaction("Adding a service") as cursor:
            return _insert(cursor, columns)

    def known_event_types(self) -> dict[Owner, int]:
        """How many event types each owner has in the mirror, to tell a listing that shrank."""
        with self._database.transaction("Counting event types", "read") as cursor:
            cursor.execute(queries.KNOWN_EVENT_TYPES)
            return {Owner.parse(owner): number for owner, number in cursor.fetchall()}


def _insert(cursor: Cursor, columns: Mapping[str, object]) -> str:
    names, values = sorted(columns), [columns[name] for name in sorted(columns)]
    insert = sql.SQL("INSERT INTO services_source ({}) VALUES ({}) RETURNING service_id").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(sql.Placeholder() * len(names))
    )
    cursor.execute(queries.SET_ACTOR, {"actor": ACTOR})
    cursor.execute(insert, values)
    made = cursor.fetchone()
    if made is None or made[0] is None:
        raise StoreError(
            "services_source took a row and named no service_id",
            advice="Its INSTEAD OF INSERT trigger has to set NEW.service_id.",
        )
    return str(made[0])


def _write_columns(cursor: Cursor, service_id: str, columns: Mapping[str, object]) -> None:
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns
    )
    update = sql.SQL("UPDATE services_source SET {} WHERE service_id = {}").format(
        assignments, sql.Placeholder("service_id")
    )
    cursor.execute(queries.SET_ACTOR, {"actor": ACTOR})
    cursor.execute(update, {**columns, "service_id": service_id})
    _require_shown(cursor, service_id, columns)


def _locked(cursor: Cursor, service_id: str, version: str) -> bool:
    """Lock a service's row until the end of the transaction; False if it is gone, or another version by now."""
    found = cursor.execute(queries.LOCK_SERVICE, {"service_id": service_id}).fetchone()
    return found is not None and found[0] == version


def _require_shown(cursor: Cursor, service_id: str, columns: Mapping[str, Any]) -> None:
    """A mapping that swallows or rewrites a value would have the old one pushed back to Cal.com as somebody's edit."""
    cursor.execute(statement(queries.SERVICES_BY_ID), {"ids": [service_id]})
    row = cursor.fetchone()
    if row is None:
        return  # a mapping may leave out what is not offered any more
    shown = _service(row)
    there, written = local_values(shown), local_values(replace(shown, **columns))
    other = sorted(name for name in written if there.get(name) != written[name])
    if other:
        raise StoreError(
            f"services_source took {', '.join(other)} of service {service_id} and shows something else",
            advice="Its INSTEAD OF UPDATE trigger has to store what it is given; or let the service own these fields "
            "(CALCOM_FIELD_OWNERS).",
        )


def _service(row: tuple[Any, ...]) -> Service:
    number, *values, version, unreadable = row
    read: dict[str, Any] = {
        name: convert(value) if convert else value for (name, convert), value in zip(_CONVERTED, values, strict=True)
    }
    return Service(id=str(number), **read, version=str(version), unreadable=tuple(unreadable or ()))


def _flag(value: Any) -> bool:
    """A flag that nobody set is on."""
    return True if value is None else bool(value)


def _whole(value: Any) -> int | None:
    """A whole number as one; anything else is no number, which validation refuses."""
    if isinstance(value, Decimal | float) and value == int(value):
        return int(value)
    return value if isinstance(value, int) else None


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {"integer": _whole, "bigint": _whole, "boolean": _flag}
_CONVERTED = [(name, _CONVERTERS.get(column.kind)) for name, column in columns_of(Service).items()]


def _link(row: tuple[Any, ...]) -> Link:
    service_id, owner, event_type_id, base, intent, state, attempts, next_attempt_at, *rest = row
    reason, failed_version, code, params = rest
    read = None
    if intent is not None:
        read = Intent(intent["kind"], intent["fields"], datetime.fromisoformat(intent["at"]), intent["above_id"])
    why = Reason.stored(reason, code, params)
    return Link(
        service_id,
        Owner.parse(owner),
        event_type_id,
        base,
        read,
        state,
        attempts,
        next_attempt_at,
        why,
        failed_version,
    )


def _link_values(link: Link) -> dict[str, Any]:
    intent = None
    if link.intent is not None:
        intent = Jsonb({**asdict(link.intent), "at": link.intent.at.isoformat()})
    return {
        "service_id": link.service_id,
        "owner": str(link.owner),
        "event_type_id": link.event_type_id,
        "base": Jsonb(dict(link.base)),
        "intent": intent,
        "state": link.state,
        "attempts": link.attempts,
        "next_attempt_at": link.next_attempt_at,
        "reason": link.reason,
        "reason_code": link.reason.code,
        "reason_params": Jsonb(dict(link.reason.params)),
        "failed_version": link.failed_version,
    }


@dataclass(frozen=True, slots=True)
class HeldChanges:
    """Changes that wait for the end of an older transaction of somebody's. Its process and its age, where they show."""

    changes: int
    process_id: int | None
    open_seconds: float | None

    def __str__(self) -> str:
        """A sentence for people."""
        known = [f"process {self.process_id} of PostgreSQL"] if self.process_id is not None else []
        known += [f"open for {self.open_seconds:.0f} s"] if self.open_seconds is not None else []
        who = f" ({', '.join(known)})" if known else ""
        return f"Changes of services that wait for the end of somebody's older transaction{who}: {self.changes}"


class PostgresServiceFeed:
    """The table `service_changes`, read in commit order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settled_after(self, cursor: str | None, *, reader: str | None = None, limit: int = 500) -> FeedBatch:
        """What somebody else changed after a position; `cursor` is one that a batch handed out, or None.

        `reader` names who asks again and again: nothing that it has not dealt with is deleted at the end of its life.
        """
        with self._database.transaction("Reading the feed of services", "write" if reader else "read") as rows:
            epoch, horizon = _one(rows, queries.FEED_EPOCH), _one(rows, queries.FEED_HORIZON)
            known = cursor.split("/") if cursor else []
            if not _is_of(known, epoch, horizon):
                return FeedBatch(f"{epoch}/{horizon}/0", (), everything=True)
            position = _position(str(cursor))
            if reader is not None:
                rows.execute(queries.KEEP_READER, {**position, "reader": reader})
            rows.execute(queries.FEED_AFTER, {**position, "limit": limit})
            found = rows.fetchall()
            # Asked last, so that nothing can have been deleted in between.
            rows.execute(queries.FEED_DELETED_AFTER, {**position, "epoch": epoch})
            if rows.fetchall()[0][0]:
                return FeedBatch(f"{epoch}/{horizon}/0", (), everything=True)
        last = f"{epoch}/{found[-1][0]}/{found[-1][1]}" if found else str(cursor)
        changed = dict.fromkeys(service_id for _, _, service_id, actor in found if actor != ACTOR)
        return FeedBatch(last, tuple(changed))

    def reached(self, reader: str) -> str | None:
        """The position that a reader last came with; None for one that is not known here."""
        with self._database.transaction("Reading the feed of services", "read") as rows:
            row = rows.execute(queries.READER_AT, {"reader": reader}).fetchone()
            return f"{_one(rows, queries.FEED_EPOCH)}/{row[0]}/{row[1]}" if row else None

    @tried_again
    def keep(self, reader: str, cursor: str) -> None:
        """The reader has dealt with all up to a position, which is one that a batch handed out."""
        with self._database.transaction("Reading the feed of services") as rows:
            rows.execute(queries.KEEP_READER, {**_position(cursor), "reader": reader})

    def held_after(self, cursor: str | None) -> HeldChanges | None:
        """What somebody else has changed after a position and cannot be read yet; None if nothing is held up."""
        known = cursor.split("/") if cursor else []
        if len(known) != 3:  # noqa: PLR2004 - epoch/xid/id
            return None
        values = {"xid": known[1], "id": int(known[2]), "actor": ACTOR}
        with self._database.transaction("Reading the feed of services", "read") as rows:
            row = rows.execute(queries.FEED_WAITING, values).fetchone()
        return HeldChanges(*row) if row else None


def _position(cursor: str) -> dict[str, Any]:
    _, xid, number = cursor.split("/")
    return {"xid": xid, "id": int(number)}


def _is_of(known: list[str], epoch: str, horizon: str) -> bool:
    """Whether a position (epoch, transaction, id) is of this cluster, and not ahead of it, as after a restore."""
    if len(known) != 3 or known[0] != epoch:  # noqa: PLR2004 - epoch/xid/id
        return False
    return known[1].isdecimal() and known[2].isdecimal() and int(known[1]) <= int(horizon)


def _one(cursor: Cursor, query: str) -> str:
    cursor.execute(statement(query))
    row = cursor.fetchone()
    return str(row[0]) if row else ""

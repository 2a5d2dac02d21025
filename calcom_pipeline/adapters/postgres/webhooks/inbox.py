"""The inbox of webhooks: deliveries come in with their facts, are claimed by drains, closed or postponed.

Bodies hold people's addresses. Where people are not kept no body is either, and where one names a person who was erased
it is emptied; what is read again of the booking goes through the mirror's own rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import orjson

from calcom_pipeline.adapters.postgres.database import Cursor, Database, tried_again
from calcom_pipeline.adapters.postgres.streams import counts
from calcom_pipeline.adapters.postgres.webhooks import inbox_statements as queries
from calcom_pipeline.app.webhooks.delivery_ports import Claimed, InboxBacklog
from calcom_pipeline.domain.bookings.people import AttendeePolicy, People, stands_in
from calcom_pipeline.domain.webhooks.deliveries import Delivery, State

_BODIES_AT_ONCE = 1000  # a few megabytes
_MOST_CLAIMED = 1000  # about the same bookings as those asked for


class PostgresInbox:
    """The table `webhook_inbox`. `people` is asked when first needed: it reads the key of hashed addresses."""

    def __init__(self, database: Database, policy: AttendeePolicy, people: Callable[[], People]) -> None:
        self._database = database
        self._policy: AttendeePolicy = policy
        self._people = people
        self._rules: People | None = None

    @tried_again
    def add(self, deliveries: Sequence[Delivery]) -> set[bytes]:
        """Keep them, with their facts, all or nothing; the digests of those that were not known before."""
        # In one order everywhere: two receivers that got the same ones must not wait for each other.
        rows = sorted({d.digest: d for d in deliveries}.values(), key=lambda d: d.digest)
        rules = self._loaded() if self._policy == "keep" else None
        while True:
            new, erased = self._added(rows, rules)
            if rules is None or erased == rules.erased:
                return new
            self._rules = rules = replace(rules, erased=erased)

    def _added(self, rows: Sequence[Delivery], rules: People | None) -> tuple[set[bytes], frozenset[bytes]]:
        """The digests of the new ones, and the tombstones; nothing is added if those are others than were known."""
        values = _columns([_kept(d, rules) for d in rows])
        with self._database.transaction("Keeping deliveries") as cursor, cursor.connection.cursor() as tombstones:
            with cursor.connection.pipeline():
                cursor.execute(queries.ENTER)
                tombstones.execute(queries.ERASED)
                cursor.execute(queries.BEFORE)
                cursor.execute(queries.ADD, values)
            erased = frozenset(bytes(row[0]) for row in tombstones.fetchall())
            new = {bytes(row[0]) for row in cursor.fetchall()}
            if rules is not None and erased != rules.erased:
                cursor.execute(queries.TAKE_BACK)
        return new, erased

    @tried_again
    def claim(self, claim: str, *, now: datetime, until: datetime, limit: int) -> list[Claimed]:
        """Open deliveries that are due, at most `limit` and those about the same bookings; nobody else gets them."""
        with self._database.transaction("Claiming deliveries") as cursor:
            cursor.execute(
                queries.CLAIM, {"claim": claim, "now": now, "until": until, "limit": limit, "most": _MOST_CLAIMED}
            )
            return sorted((Claimed(*row) for row in cursor.fetchall()), key=lambda c: c.id)

    @tried_again
    def close(self, ids: Sequence[int], state: State, *, claim: str, now: datetime, reason: str = "") -> int:
        """These are dealt with; how many still were this claim's.

        Waits for the disk, and with that for whatever of the bookings was committed before without waiting.
        """
        values = {"ids": list(ids), "state": state, "claim": claim, "now": now, "reason": reason}
        with self._database.transaction("Closing deliveries") as cursor:
            return cursor.execute(queries.CLOSE, values).rowcount

    @tried_again
    def postpone(self, ids: Sequence[int], *, claim: str, at: datetime, reason: str, counted: bool) -> int:
        """These are due again then. `counted`: the attempt failed for a reason of its own."""
        values = {"ids": list(ids), "claim": claim, "at": at, "reason": reason, "counted": counted}
        with self._database.transaction("Postponing deliveries") as cursor:
            return cursor.execute(queries.POSTPONE, values).rowcount

    def backlog(self, *, now: datetime) -> InboxBacklog:
        """How much is open, and a name of what is due."""
        with self._database.transaction("Reading the inbox", "read") as cursor:
            is_open, due, newest, claims = counts(cursor.execute(queries.BACKLOG, {"now": now}))
            return InboxBacklog(int(is_open), int(due), f"{due}:{newest}:{claims}")

    def seconds_until_due(self, *, now: datetime) -> float | None:
        """How long until a delivery, or a fact that the cache has to hear of, is due; None if nothing is open."""
        with self._database.transaction("Reading the inbox", "read") as cursor:
            found = cursor.execute(queries.NEXT_DUE, {"now": now}).fetchone()
        return None if found is None else found[0]

    def states(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        with self._database.transaction("Reading the inbox", "read") as cursor:
            return {state: int(number) for state, number in cursor.execute(queries.COUNTS).fetchall()}

    @tried_again
    def tighten(self) -> int:
        """Empty the bodies, where the attendee policy does not keep people any more; how many."""
        if self._policy == "keep":
            return 0
        with self._database.transaction("Emptying the inbox") as cursor:
            return cursor.execute(queries.EMPTY_BODIES).rowcount

    def _loaded(self) -> People:
        if self._rules is None:
            self._rules = self._people()
        return self._rules


def empty_deliveries(cursor: Cursor, people: People, who: str) -> int:
    """Empty the bodies in which a person stands, in the caller's transaction; how many that were.

    Until it ends nobody adds a delivery, and whoever adds one later sees the tombstone.
    """
    cursor.execute(queries.LOCK_BODIES)
    emptied, after = 0, 0
    while True:
        cursor.execute(queries.BODIES, {"after": after, "limit": _BODIES_AT_ONCE})
        found = [(number, bytes(body)) for number, body in cursor.fetchall()]
        named = [number for number, body in found if stands_in(body, who) or people.mentions_erased(body)]
        cursor.execute(queries.EMPTY, {"ids": named})
        emptied += len(named)
        if len(found) < _BODIES_AT_ONCE:
            return emptied
        after = found[-1][0]


def _kept(delivery: Delivery, rules: People | None) -> Delivery:
    """As it may be stored: without its body where people are not kept, or where it names one who was erased."""
    if rules is None or delivery.first_state == "done" or rules.mentions_erased(delivery.body):
        return replace(delivery, body=b"")
    return delivery


def _facts(rows: Sequence[Delivery]) -> str:
    """The facts of all of them, each with the digest of its delivery."""
    facts = [
        {
            "digest": d.digest.hex(),
            "kind": fact.kind,
            "why": fact.why,
            "event_type_id": fact.event_type_id,
            "user_ids": fact.user_ids,
            "starts": [start for start, _ in fact.spans],
            "ends": [end for _, end in fact.spans],
        }
        for d in rows
        for fact in d.facts
    ]
    return orjson.dumps(facts).decode()


def _columns(rows: Sequence[Delivery]) -> dict[str, object]:
    states = [d.first_state for d in rows]
    return {
        "digest": [d.digest for d in rows],
        "trigger": [d.trigger for d in rows],
        "uid": [d.uid for d in rows],
        "old_uid": [d.old_uid for d in rows],
        "body": [d.body for d in rows],
        "created_at": [d.created_at for d in rows],
        "received_at": [d.received_at for d in rows],
        "state": list(states),
        "reason": [d.reason for d in rows],
        "facts": _facts(rows),
        "finished_at": [None if state == "open" else d.received_at for d, state in zip(rows, states, strict=True)],
    }

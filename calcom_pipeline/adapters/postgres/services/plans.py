"""Plans and what came of them, and the lock that lets one apply run at a time."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from calcom_pipeline.adapters.postgres.database import Database, statement, tried_again
from calcom_pipeline.adapters.postgres.locks import taken
from calcom_pipeline.adapters.postgres.services import statements as queries
from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
from calcom_pipeline.domain.errors import AnotherApply
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.plans import Action, FieldDecision


class PostgresPlanStore:
    """The tables `sync_plans` and `sync_actions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    def save(self, plan: StoredPlan) -> None:
        """Keep a plan; earlier ones that were not applied are superseded."""
        head = {
            "id": plan.id,
            "hash": plan.hash,
            "source": plan.source,
            "state": plan.state,
            "counts": Jsonb(dict(plan.counts)),
            "held": _held(plan.held),
            "created_at": plan.created_at,
            "expires_at": plan.expires_at,
        }
        with self._database.transaction("Storing a plan") as cursor:
            cursor.execute(queries.SUPERSEDE_PLANS)
            cursor.execute(queries.SAVE_PLAN, head)
            with cursor.copy(statement(queries.COPY_ACTIONS)) as copy:
                for position, action in enumerate(plan.actions):
                    copy.write_row(_action_row(plan.id, position, action))

    def renewed(self, plan: StoredPlan) -> StoredPlan | None:
        """The open plan that says the same, with the life of this one; None too when an apply did something of it."""
        values = {
            "hash": plan.hash,
            "held": _held(plan.held),
            "now": plan.created_at,
            "expires_at": plan.expires_at,
        }
        return self._plan_named_by(queries.RENEW_PLAN, values)

    @tried_again
    def supersede(self) -> None:
        """Plans that were not applied no longer hold."""
        with self._database.transaction("Superseding plans") as cursor:
            cursor.execute(queries.SUPERSEDE_PLANS)

    def load(self, plan_id: str) -> StoredPlan | None:
        """The plan of this id, as it was stored."""
        with self._database.transaction("Reading a plan", "read") as cursor:
            cursor.execute(queries.LOAD_PLAN, {"id": plan_id})
            head = cursor.fetchone()
            if head is None:
                return None
            cursor.execute(queries.LOAD_ACTIONS, {"id": plan_id})
            actions = tuple(_action(row) for row in cursor.fetchall())
        number, digest, source, state, counts, held, created_at, expires_at = head
        reasons = {kind: _reason(*_parts(value)) for kind, value in held.items()}
        return StoredPlan(number, digest, source, created_at, expires_at, actions, counts, reasons, state)

    def latest_open(self) -> StoredPlan | None:
        """The newest plan, unless it was applied."""
        return self._plan_named_by(queries.LATEST_OPEN_PLAN, {})

    def last_of(self, service_id: str) -> StoredPlan | None:
        """The plan that last wrote something for a service."""
        return self._plan_named_by(queries.LAST_DONE, {"service_id": service_id})

    def _plan_named_by(self, query: str, values: dict[str, Any]) -> StoredPlan | None:
        with self._database.transaction("Reading a plan", "read") as cursor:
            cursor.execute(statement(query), values)
            row = cursor.fetchone()
        return self.load(row[0]) if row else None

    def history(self, service_id: str, *, limit: int) -> list[tuple[Any, ...]]:
        """Plan, kind, outcome, message and time of the last actions of a service, newest first."""
        with self._database.transaction("Reading results", "read") as cursor:
            cursor.execute(queries.HISTORY_OF_SERVICE, {"service_id": service_id, "limit": limit})
            return cursor.fetchall()

    @tried_again
    def record(self, plan_id: str, results: Sequence[ActionResult]) -> None:
        """Keep what came of some actions."""
        with self._database.transaction("Storing results") as cursor:
            cursor.executemany(queries.RECORD_RESULT, [_result_values(plan_id, r) for r in results])

    def results(self, plan_id: str) -> list[ActionResult]:
        """What came of a plan, action by action."""
        with self._database.transaction("Reading results", "read") as cursor:
            cursor.execute(queries.RESULTS_OF_PLAN, {"id": plan_id})
            return [ActionResult(*row) for row in cursor.fetchall()]

    def done(self, plan_id: str) -> frozenset[int]:
        """Positions of the actions that an apply has done already."""
        with self._database.transaction("Reading results", "read") as cursor:
            cursor.execute(queries.DONE_OF_PLAN, {"id": plan_id})
            return frozenset(row[0] for row in cursor.fetchall())

    @tried_again
    def close(self, plan_id: str, *, at: datetime) -> None:
        """Mark a plan as applied."""
        with self._database.transaction("Closing a plan") as cursor:
            cursor.execute(queries.CLOSE_PLAN, {"id": plan_id, "at": at})

    @contextmanager
    def exclusive(self, *, wait_seconds: float = 0.0) -> Generator[None]:
        """One apply at a time per account; the lock goes with its own connection, so a killed process leaves none."""
        with self._database.beside_the_pool("Locking the plans") as cursor:
            values = {"schema": self._database.schema}
            if not taken(cursor, queries.LOCK_APPLY, values, wait_seconds=wait_seconds):
                raise AnotherApply(
                    "Another plan of this account is being made or applied", advice="Try again when it has ended."
                )
            yield


def _held(held: Mapping[str, Reason]) -> Jsonb:
    return Jsonb({kind: _stored(reason) for kind, reason in held.items()})


def _stored(reason: Reason) -> dict[str, Any]:
    return {"reason": reason, "code": reason.code, "params": dict(reason.params)}


def _parts(value: Any) -> tuple[str, str, dict[str, Any]]:
    """A reason inside a document; earlier releases kept the sentence alone."""
    return (value, "", {}) if isinstance(value, str) else (value["reason"], value["code"], value["params"])


def _reason(sentence: str, code: str, params: Mapping[str, Any]) -> Reason:
    return Reason.stored(sentence, code, params)


def _decision(stored: Mapping[str, Any]) -> FieldDecision:
    reason = _reason(stored["reason"], stored.get("code", ""), stored.get("params", {}))
    known = {name: value for name, value in stored.items() if name not in ("reason", "code", "params")}
    return FieldDecision(**known, reason=reason)


def _action_row(plan_id: str, position: int, a: Action) -> tuple[Any, ...]:
    fields = Jsonb([{**asdict(decision), **_stored(decision.reason)} for decision in a.fields])
    owner = str(a.owner) if a.owner else None
    remote, notes = Jsonb(dict(a.remote)), Jsonb(list(a.notes))
    return (
        plan_id,
        position,
        a.kind,
        a.service_id,
        a.event_type_id,
        owner,
        a.reason,
        fields,
        remote,
        a.service_version,
        notes,
        a.reason.code,
        Jsonb(dict(a.reason.params)),
    )


def _action(row: tuple[Any, ...]) -> Action:
    kind, service_id, event_type_id, owner, reason, fields, remote, service_version, notes, code, params = row
    return Action(
        kind=kind,
        service_id=service_id,
        reason=_reason(reason, code, params),
        owner=Owner.parse(owner) if owner else None,
        event_type_id=event_type_id,
        fields=tuple(_decision(decision) for decision in fields),
        service_version=service_version,
        remote=remote,
        notes=tuple(notes),
    )


def _result_values(plan_id: str, r: ActionResult) -> dict[str, Any]:
    return {
        "plan_id": plan_id,
        "position": r.position,
        "outcome": r.outcome,
        "message": r.message,
        "before": Jsonb(dict(r.before)),
        "after": Jsonb(dict(r.after)),
        "error": r.error,
        "code": r.code,
        "event_type_id": r.event_type_id,
    }

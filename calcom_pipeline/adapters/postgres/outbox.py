"""Writes facts of a change into the outbox; they are applied elsewhere. Always in the transaction of the change."""

from collections.abc import Iterable

from calcom_pipeline.adapters.postgres.database import Cursor
from calcom_pipeline.domain.invalidation import Fact

COPY_FACTS = "COPY invalidations (kind, why, event_type_id, user_ids, starts, ends) FROM STDIN"


def insert_facts(cursor: Cursor, facts: Iterable[Fact]) -> int:
    """Add facts to the outbox in the caller's transaction; how many. Ids are PostgreSQL's; a fact's own is ignored."""
    rows = [
        (f.kind, f.why, f.event_type_id, list(f.user_ids), [s for s, _ in f.spans], [e for _, e in f.spans])
        for f in facts
    ]
    if rows:
        with cursor.copy(COPY_FACTS) as copy:
            for row in rows:
                copy.write_row(row)
    return len(rows)

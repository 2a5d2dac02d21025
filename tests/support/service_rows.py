"""Rows of a business's services, as somebody else than the pipeline writes them."""

from calcom_pipeline.adapters.postgres.database import Database

INSERT = "INSERT INTO services (name, slug, duration_minutes) VALUES (%s, %s, %s) RETURNING id::text"


def run(database: Database, query: str, *values: object) -> list[tuple]:
    """Any statement, and the rows of one that has some."""
    with database.transaction("Testing") as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


def insert(database: Database, name: str = "Repair", slug: str = "repair", minutes: int = 30) -> str:
    """A new service; its id."""
    return run(database, INSERT, name, slug, minutes)[0][0]

"""How long PostgreSQL and Redis are waited for."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class WaitSettings(SettingsGroup):
    """How long PostgreSQL and Redis are waited for."""

    database_connect_seconds: int = Field(
        default=5, ge=2, le=60, description="Until a session of PostgreSQL stands; the driver knows whole seconds."
    )
    database_answer_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Silence of PostgreSQL borne beyond what a statement may take; a dead line is found after twice.",
    )
    database_lock_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Longest wait for another's lock; ours are held for a page, below 1 s."
    )
    database_read_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="One statement that reads for a person or a sensor; most take 10 ms."
    )
    database_write_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="One statement that stores: a page of 250 bookings takes 0.1 s."
    )
    database_whole_seconds: float = Field(
        default=1800.0, gt=0, le=86_400, description="One statement over whole tables: retention, erasure, counts."
    )
    database_migration_seconds: float = Field(
        default=3600.0, gt=0, le=86_400, description="One migration, and the wait for another's: it may fill a table."
    )
    database_idle_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="A transaction that idles longer belongs to a process that hangs."
    )
    database_attempts: int = Field(
        default=4, ge=1, le=20, description="Tries of a transaction that loses against another; one is nearly enough."
    )
    ledger_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for api_calls to take rows; what is done waits no longer."
    )
    redis_seconds: float = Field(
        default=3.0,
        gt=0,
        le=60,
        description="A whole Redis operation, connecting and one repetition included; it answers within 1 ms.",
    )
    redis_pause_seconds: float = Field(
        default=10.0, ge=0, le=600, description="A Redis that did not answer in time is left alone for so long."
    )

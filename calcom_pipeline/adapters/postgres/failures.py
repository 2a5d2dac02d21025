"""PostgreSQL's errors as sentences. Values of rows never get into one: PostgreSQL puts them into DETAIL."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolUsedUp

from calcom_pipeline.adapters.postgres.bounds import Work, setting_of
from calcom_pipeline.adapters.postgres.session import PeerSilent, ServerLeftAlone
from calcom_pipeline.domain.errors import SchemaOutdated, StoreConflict, StoreError, StoreTimeout

_CHECK = "Check DATABASE_URL and the server."

#: Error of the driver, what it becomes, its sentence, what to do.
_KNOWN: tuple[tuple[type[BaseException], type[StoreError], str, str], ...] = (
    (errors.DiskFull, StoreError, "the disk of the database is full", "Make room; nothing was half-written."),
    (
        errors.InsufficientPrivilege,
        StoreError,
        "the database user lacks the right",
        "Grant it, or use another DATABASE_URL.",
    ),
    (
        errors.InvalidSchemaName,
        StoreError,
        "the schema is not there, or the database user may not use it",
        "Grant USAGE and CREATE on it, or correct CALCOM_DATABASE_SCHEMA.",
    ),
    (errors.InvalidPassword, StoreError, "the database refuses the password", "Check DATABASE_URL."),
    (errors.InvalidAuthorizationSpecification, StoreError, "the database refuses the user", "Check DATABASE_URL."),
    (errors.InvalidCatalogName, StoreError, "the database does not exist", "Create it, or correct DATABASE_URL."),
    (
        errors.ReadOnlySqlTransaction,
        StoreError,
        "the database is read-only",
        "Point DATABASE_URL at the primary server.",
    ),
    (
        errors.TooManyConnections,
        StoreError,
        "the database has no connection left",
        "Try again, or raise max_connections.",
    ),
    (
        errors.LockNotAvailable,
        StoreTimeout,
        "somebody else holds a lock on it for longer than is waited for",
        "Try again once it is free, or raise CALCOM_DATABASE_LOCK_SECONDS; pg_locks names the holder.",
    ),
    (
        errors.IdleInTransactionSessionTimeout,
        StoreTimeout,
        "this process left its transaction idle for too long",
        "Try again; the time is CALCOM_DATABASE_IDLE_SECONDS.",
    ),
    (
        errors.SerializationFailure,
        StoreConflict,
        "another transaction was faster",
        "Try again: nothing of this one was stored.",
    ),
    (
        errors.DeadlockDetected,
        StoreConflict,
        "another transaction and this one waited for each other",
        "Try again: nothing of this one was stored.",
    ),
    (errors.AdminShutdown, StoreError, "the server or an administrator ended the connection", "Try again."),
    (errors.CrashShutdown, StoreError, "the server restarts after a crash", "Try again in some seconds."),
    (errors.CannotConnectNow, StoreError, "the server is starting or stopping", "Try again in some seconds."),
    (errors.UndefinedTable, SchemaOutdated, "the schema lacks something", "Run `calcom-pipeline migrate`."),
    (errors.UndefinedColumn, SchemaOutdated, "the schema lacks something", "Run `calcom-pipeline migrate`."),
    (
        errors.ConnectionTimeout,
        StoreTimeout,
        "the database did not answer in time",
        "Check DATABASE_URL and the server, or raise CALCOM_DATABASE_CONNECT_SECONDS.",
    ),
    (
        ServerLeftAlone,
        StoreError,
        "the database could not be reached a moment ago, and is left alone for some seconds",
        _CHECK,
    ),
    (
        PoolUsedUp,
        StoreTimeout,
        "all connections of this process stayed in use",
        "Try again with fewer workers (CALCOM_APPLY_WORKERS, CALCOM_BACKFILL_WORKERS).",
    ),
)

# libpq's words for what is wrong with TLS.
_CERTIFICATES = {
    "certificate has expired": "the certificate of the database has expired",
    "certificate verify failed": "the certificate of the database is not trusted",
    "does not match host name": "the certificate of the database is for another host",
    "root certificate file": "there is no file of certificates that the database's could be checked against",
    "server does not support SSL": "the database does not speak TLS, but sslmode asks for it",
}
_TRUST = "Name the authority's file in DATABASE_URL: ?sslmode=verify-full&sslrootcert=/path/to/ca.pem."

# Errors before a session have no SQLSTATE, only text; it may hold host and user, never the password.
_CONNECTION_TROUBLES = {
    "password authentication failed": "the database refuses the password",
    "authentication failed": "the database refuses the user",
    "pooling mode": "the pooler before the database works in statement mode, which knows no transactions",
    "does not exist": "the database or its user does not exist",
    "no such database": "the database or its user does not exist",
    "refused": "nothing listens at the address of the database",
    "could not translate host name": "the host name of the database is unknown",
    "failed to resolve host": "the host name of the database is unknown",
    "timeout": "the database did not answer in time",
    "No such file": "nothing listens at the address of the database",
}


@contextmanager
def postgres_failures(doing: str, work: Work = "write") -> Generator[None]:
    """Name the driver's errors; `doing` starts the sentence: "Storing bookings". `work`: whose bound was in force.

    Raises:
        StoreError: instead of any error of psycopg or of the pool.
    """
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        raise _store_error(doing, work, error) from None


@contextmanager
def commit_failures(doing: str) -> Generator[None]:
    """A connection that ends during a commit leaves open whether it counted; the sentence must not deny it."""
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is not None:
            raise
        raise StoreTimeout(
            f"{doing}: the connection ended during the commit, so it may be stored or not",
            advice="Try again: what is stored already is found and not stored twice.",
        ) from None


def _store_error(doing: str, work: Work, error: BaseException) -> StoreError:
    if isinstance(error, errors.QueryCanceled):
        return StoreTimeout(
            f"{doing}: it takes PostgreSQL longer than such work may, or somebody cancelled it",
            advice=f"Try again when the server is less busy, or raise {setting_of(work)}.",
        )
    if isinstance(error, PeerSilent):
        return StoreTimeout(
            f"{doing}: PostgreSQL did not answer within {error.seconds:g} s",
            advice="Try again; if it stays silent, look at the server and at the way to it.",
        )
    for kind, becomes, sentence, advice in _KNOWN:
        if isinstance(error, kind):
            return becomes(f"{doing}: {sentence}", advice=advice)
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        certificate = next((trouble for part, trouble in _CERTIFICATES.items() if part in str(error)), None)
        if certificate is not None:
            return StoreError(f"{doing}: {certificate}", advice=_TRUST)
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate is None or "pooling mode" in (primary or "")):
        return StoreError(f"{doing}: {_connection_trouble(error)}", advice=_CHECK)
    return StoreError(f"{doing}: PostgreSQL refuses ({primary or type(error).__name__})")


def _connection_trouble(error: psycopg.OperationalError) -> str:
    text = str(error)
    found = (trouble for part, trouble in _CONNECTION_TROUBLES.items() if part in text)
    return next(found, "the connection to the database broke")

"""How Cal.com and PostgreSQL are reached, out of the settings; a capability's rules are made in its own file."""

import importlib
from typing import TYPE_CHECKING, Any

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calcom_pipeline.adapters.calcom.endpoint import ClientOptions
    from calcom_pipeline.adapters.calcom.transport.session import TransportOptions
    from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds
    from calcom_pipeline.app.calls import CallObserver


def client_options(settings: Settings) -> "ClientOptions":
    """What the endpoint groups need of the settings."""
    from calcom_pipeline.adapters.calcom.endpoint import ClientOptions
    from calcom_pipeline.adapters.calcom.idempotent_create import GraceRules

    return ClientOptions(
        read_timeout_seconds=settings.read_timeout_seconds,
        create_timeout_seconds=settings.create_timeout_seconds,
        bookings_version=settings.bookings_version,
        grace=GraceRules(grace_seconds=settings.create_grace_seconds, attempts=settings.create_attempts),
    )


def transport_options(settings: Settings, observers: "Sequence[CallObserver]" = ()) -> "TransportOptions":
    """What the way to Cal.com needs of the settings; calls are logged and traced beside the given observers."""
    from calcom_pipeline.adapters.calcom.transport.network import Network
    from calcom_pipeline.adapters.calcom.transport.observers import LoggedCalls, Observers
    from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
    from calcom_pipeline.adapters.calcom.transport.session import TransportOptions
    from calcom_pipeline.adapters.calcom.transport.signing import Signer
    from calcom_pipeline.adapters.calcom.transport.telemetry import telemetry

    s = settings
    hook = named_function(s.error_hook, "CALCOM_ERROR_HOOK") if s.error_hook else None
    return TransportOptions(
        connect_timeout_seconds=s.connect_timeout_seconds,
        patience=RetryPatience(s.retry_deadline_seconds, s.retry_attempts),
        network=Network(s.ca_bundle, s.proxy.get_secret_value() if s.proxy else None),
        longest_answer_bytes=s.answer_megabytes * 1024 * 1024,
        signer=Signer(s.signing_secret.get_secret_value()) if s.signing_secret else None,
        observers=Observers([LoggedCalls(), *telemetry(), *observers], error_hook=hook),
    )


def database_bounds(settings: Settings) -> "DatabaseBounds":
    """How long PostgreSQL is waited for."""
    from calcom_pipeline.adapters.postgres.bounds import DatabaseBounds

    s = settings
    return DatabaseBounds(
        connect_seconds=s.database_connect_seconds,
        answer_seconds=s.database_answer_seconds,
        lock_seconds=s.database_lock_seconds,
        read_seconds=s.database_read_seconds,
        write_seconds=s.database_write_seconds,
        whole_seconds=s.database_whole_seconds,
        migration_seconds=s.database_migration_seconds,
        ledger_seconds=s.ledger_seconds,
        idle_seconds=s.database_idle_seconds,
        attempts=s.database_attempts,
    )


def named_function(name: str, variable: str) -> Any:
    """The function that `module:function` names.

    Raises:
        ConfigurationError: there is none; `variable` is the setting to correct.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError):
        raise ConfigurationError([f"{variable} names {name}, which cannot be imported"]) from None

"""The instance that DAGSTER_HOME names, and the pools of steps that talk to Cal.com, made before anything runs."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager

import dagster as dg

from calcom_pipeline.domain.errors import ConfigurationError


@contextmanager
def opened_instance() -> Generator[dg.DagsterInstance]:
    """The instance, open as long as the block.

    Raises:
        ConfigurationError: its dagster.yaml is wrong; in Dagster's words.
    """
    try:
        opened = dg.DagsterInstance.get()
    except dg.DagsterInvalidConfigError as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError([f"Dagster refuses its dagster.yaml: {reason}"], advice="Correct it.") from None
    with opened as instance:
        yield instance


def make_pools(pools: Iterable[str]) -> None:
    """Make accounts' pools on the instance, those that are not there.

    Dagster makes a pool when a step first asks for it. Of two first runs at once, which a new instance's sensors start,
    one then fails: its INSERT is refused, and its UPDATE in the same transaction with it (seen with 1.13.27).

    Raises:
        ConfigurationError: Dagster refuses its configuration.
    """
    with opened_instance() as instance:
        storage = instance.event_log_storage
        for pool in sorted(set(pools) - set(storage.get_concurrency_keys())):
            storage.initialize_concurrency_limit_to_default(pool)

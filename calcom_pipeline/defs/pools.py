"""The pool of steps that talk to Cal.com, made before anything runs."""

from contextlib import suppress

import dagster as dg

from calcom_pipeline.defs.naming import POOL


def make_pool() -> None:
    """Make the account's pool on the instance that DAGSTER_HOME names, unless it is there.

    Dagster makes a pool when a step first asks for it. Of two first runs at once, which a new instance's sensors start,
    one then fails: its INSERT is refused, and its UPDATE in the same transaction with it (seen with 1.13.27).
    An instance whose configuration is wrong is left to Dagster itself, which starts next and says so.
    """
    with suppress(dg.DagsterInvalidConfigError), dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        if POOL not in storage.get_concurrency_keys():
            storage.initialize_concurrency_limit_to_default(POOL)

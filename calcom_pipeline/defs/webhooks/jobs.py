"""What runs about webhooks."""

import dagster as dg

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.webhooks.inbox import webhooks_drain


def jobs(account: Account) -> list[dg.JobDefinition]:
    """Deliveries that are dealt with."""
    return [webhooks_drain(account)]

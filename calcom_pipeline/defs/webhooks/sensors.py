"""What is noticed about webhooks."""

import dagster as dg

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.webhooks.inbox import webhook_inbox


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """Deliveries that wait."""
    return [webhook_inbox(account)]

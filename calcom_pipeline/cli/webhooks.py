"""`calcom-pipeline webhooks`: what Cal.com tells by itself."""

import click

from calcom_pipeline.cli.deliveries import drain


@click.group()
def webhooks() -> None:
    """Webhooks: Cal.com tells of a change as it happens."""


webhooks.add_command(drain)

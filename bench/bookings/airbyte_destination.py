"""A destination that stores bookings, as Airbyte's platform runs one: `write --config FILE --catalog FILE`.

Messages of Airbyte's protocol come on standard input, a line each, and are stored as the lower bound stores its own:
less than any published destination does. Positions are handed on once what came before them is stored.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from logging import Logger
from typing import Any

from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    Status,
    Type,
)

from bench.bookings.lower_bound import PAGE, Row, store


class Bookings(Destination):
    """PostgreSQL, by DATABASE_URL."""

    def spec(self, logger: Logger) -> ConnectorSpecification:
        """Nothing to fill in but whether what was there stays."""
        del logger
        asked = {"type": "object", "properties": {"anew": {"type": "boolean"}}, "additionalProperties": True}
        return ConnectorSpecification(connectionSpecification=asked)

    def check(self, logger: Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """It is used at once."""
        del logger, config
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(
        self,
        config: Mapping[str, Any],
        configured_catalog: ConfiguredAirbyteCatalog,
        input_messages: Iterable[AirbyteMessage],
    ) -> Iterator[AirbyteMessage]:
        """Store all records in one transaction, then hand on the last position."""
        del configured_catalog
        states: list[AirbyteMessage] = []
        store(batches(input_messages, states), anew=bool(config["anew"]))
        yield from states[-1:]


def batches(messages: Iterable[AirbyteMessage], states: list[AirbyteMessage]) -> Iterator[list[Row]]:
    """Records in batches; messages that tell a position go into `states`."""
    rows: list[Row] = []
    for message in messages:
        if message.type is Type.STATE:
            states.append(message)
        elif message.type is Type.RECORD:
            rows.append(message.record.data)
            if len(rows) == PAGE:
                yield rows
                rows = []
    yield rows


if __name__ == "__main__":
    Bookings().run(sys.argv[1:])

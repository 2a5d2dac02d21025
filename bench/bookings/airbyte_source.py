"""The source of bookings, as Airbyte's platform runs one: `read --config FILE --catalog FILE [--state FILE]`.

What it finds goes to standard output, a message of Airbyte's protocol a line.
"""

import sys
from pathlib import Path

import yaml
from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

MANIFEST = Path(__file__).with_name("bookings.yaml")


def main() -> None:
    given = sys.argv[1:]
    config, catalog, state = (
        getattr(AirbyteEntrypoint, f"extract_{kind}")(given) for kind in ("config", "catalog", "state")
    )
    source = ConcurrentDeclarativeSource(
        catalog=ConcurrentDeclarativeSource.read_catalog(catalog),
        config=ConcurrentDeclarativeSource.read_config(config),
        state=ConcurrentDeclarativeSource.read_state(state) if state else [],
        source_config=yaml.safe_load(MANIFEST.read_text("utf-8")),
    )
    launch(source, given)


if __name__ == "__main__":
    main()

"""Airbyte's CDK with a declarative bookings stream, once full, once more from the state that the first run left.

With BENCH_PUBLISHED set the stream is what Airbyte's published Cal.com connector has: 100 rows a page, no cursor.

The CDK has no destination in its process, so its records are stored as the lower bound stores its own: batches of 250
by COPY, one upsert. That is less than any real destination does. Retries are the CDK's defaults. Runs in an
environment of its own, so it imports nothing of ours.
"""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from bench.bookings.airbyte_destination import batches
from bench.bookings.lower_bound import PAGE, store
from bench.child import calls_so_far, rounds, tell

PUBLISHED = bool(os.environ.get("BENCH_PUBLISHED"))
PUBLISHED_PAGE = 100
MANIFEST = Path(__file__).with_name("bookings.yaml")


def messages(state: list[AirbyteStateMessage]) -> Iterator[AirbyteMessage]:
    """Everything that one sync says."""
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    mode = SyncMode.incremental
    if PUBLISHED:
        (stream,) = manifest["streams"]
        del stream["incremental_sync"], stream["retriever"]["requester"]["request_parameters"]
        mode = SyncMode.full_refresh
    config = {
        "base_url": os.environ["CALCOM_BASE_URL"],
        "api_key": os.environ["CALCOM_API_KEY"],
        "page_size": PUBLISHED_PAGE if PUBLISHED else PAGE,
    }
    log = logging.getLogger("airbyte")
    source = ConcurrentDeclarativeSource(catalog=None, config=config, state=state, source_config=manifest)
    stream = source.discover(log, config).streams[0]
    chosen = ConfiguredAirbyteStream(
        stream=stream, sync_mode=mode, destination_sync_mode=DestinationSyncMode.append_dedup
    )
    catalog = ConfiguredAirbyteCatalog(streams=[chosen])
    source = ConcurrentDeclarativeSource(catalog=catalog, config=config, state=state, source_config=manifest)
    yield from source.read(log, config, catalog, state)


def main() -> None:
    told: dict[str, Any] = {}
    state: list[AirbyteStateMessage] = []
    for name in rounds():
        began, before, found = time.perf_counter(), calls_so_far(), list[AirbyteMessage]()
        store(batches(messages(state), found), anew=not name)
        told |= {f"{name}seconds": time.perf_counter() - began, f"{name}calls": calls_so_far() - before}
        state = [] if PUBLISHED else [message.state for message in found[-1:]]
    tell(**told)


if __name__ == "__main__":
    main()

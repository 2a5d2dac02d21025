"""The Dagster layer: thin shells over the use cases in `sync/`."""

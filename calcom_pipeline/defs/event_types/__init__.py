"""Event types in Dagster."""

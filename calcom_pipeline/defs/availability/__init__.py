"""Slots and caches in Dagster."""

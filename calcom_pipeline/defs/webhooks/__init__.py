"""Webhooks in Dagster."""

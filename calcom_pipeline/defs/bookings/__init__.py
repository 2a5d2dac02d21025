"""Bookings in Dagster."""

"""Slots, and the outbox of changes."""

"""Upkeep: who is alive."""

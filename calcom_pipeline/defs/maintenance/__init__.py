"""Upkeep of the pipeline itself."""

"""Health and upkeep of the pipeline itself."""

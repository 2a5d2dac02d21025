"""Plan, apply, revert, explain: services and their event types kept equal."""

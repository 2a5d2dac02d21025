"""The mirror of event types."""

"""The endpoints of event types."""

"""Mirror event types."""

"""What a report says: how each service stands, and whether all is in sync."""

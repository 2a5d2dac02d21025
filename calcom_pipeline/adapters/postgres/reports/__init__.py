"""What people ask about everything."""

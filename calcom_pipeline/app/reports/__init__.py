"""What people and checks ask about everything."""

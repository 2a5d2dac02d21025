"""What is told to the outside about the work."""

"""Event types of users and teams: reading, creating, changing, deleting, in every shape they are answered in."""

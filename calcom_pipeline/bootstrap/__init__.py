"""From settings to open collaborators."""

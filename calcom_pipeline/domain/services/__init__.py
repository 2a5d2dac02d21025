"""Services, their links, and the planner."""

"""The caller, teams and schedules: what the API answers about people."""

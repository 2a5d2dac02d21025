"""Accounts that a sandbox can serve: the recorded one, generated ones, and one from a file."""

"""Lifetimes of our own records, and how much room they take."""

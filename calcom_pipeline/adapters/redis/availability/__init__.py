"""Cached days."""

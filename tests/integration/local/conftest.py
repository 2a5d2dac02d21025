"""Folders for the embedded servers of one test."""

from tests.support.embedded import data, place, used_data

__all__ = ["data", "place", "used_data"]

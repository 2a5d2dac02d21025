"""Folders for the embedded servers of one test."""

from tests.support.embedded import data, place, template, used_data

__all__ = ["data", "place", "template", "used_data"]

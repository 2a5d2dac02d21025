"""Bookings: creating, listing, reading, and everything that can happen to one afterwards."""

"""Bookings: values, requests, positions of reads, privacy of people."""

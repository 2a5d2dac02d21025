"""The mirror of bookings, its people, its quarantine."""

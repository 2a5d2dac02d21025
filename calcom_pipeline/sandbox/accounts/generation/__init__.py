"""A realistic account made from a seed: people, event types, and any number of bookings made when asked for."""

"""The endpoints of bookings."""

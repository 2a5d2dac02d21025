"""Free times: the grid, availability, limits, booking windows, the slots endpoint and reservations."""

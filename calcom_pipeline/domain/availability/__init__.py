"""Free times, and what a change does to them."""

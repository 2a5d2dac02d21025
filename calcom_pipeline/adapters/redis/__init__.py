"""Redis: the shared limiter, the slot cache. Scripts that must be atomic are in `scripts/*.lua`."""

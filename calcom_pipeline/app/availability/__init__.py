"""Free times: refresh, look up, invalidate."""

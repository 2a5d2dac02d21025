"""The rate limiter."""

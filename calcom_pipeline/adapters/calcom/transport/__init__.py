"""The guarded way to Cal.com: limiter, breaker, deadlines, retries, observation."""

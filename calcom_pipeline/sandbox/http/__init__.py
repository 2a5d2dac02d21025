"""From a raw request to a handler and back: bodies, versions, limiter, credentials, answers."""

"""A faithful, stateful Cal.com API v2 on loopback, for tests and for a first run without an account.

It is built from facts about Cal.com (the fact sheet and recordings of a running server) and knows nothing of
the rest of this package, so that a bug cannot agree with itself. Start it with
`python -m calcom_pipeline.sandbox serve`, or from a test with `calcom_pipeline.sandbox.testing.serve_sandbox`.
"""

"""The surface for tests, apart from the API: counters, clock, mutations behind the client's back, faults."""

"""The only rooms that know a driver: Cal.com over HTTP, PostgreSQL, Redis."""

"""Webhook subscriptions, and what deliveries are measured against, in PostgreSQL."""

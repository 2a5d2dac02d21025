"""Webhooks: subscriptions, payloads, signing and delivery."""

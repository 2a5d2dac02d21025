"""Ways to people: a webhook, e-mail."""

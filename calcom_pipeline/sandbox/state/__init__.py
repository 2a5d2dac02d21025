"""What an account holds, kept in memory: users, teams, schedules, event types, bookings, webhooks, keys."""

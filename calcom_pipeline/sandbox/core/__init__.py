"""What every room of the sandbox needs: time, ids, JSON as PostgreSQL keeps it, and Cal.com's errors."""

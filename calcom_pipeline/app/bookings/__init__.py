"""Mirror, backfill and change bookings."""

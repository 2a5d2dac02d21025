-- Private bookings are looked through whenever event types are read: those that turn out to be ours are read again.
CREATE INDEX bookings_private ON bookings (event_type_id) WHERE is_private;

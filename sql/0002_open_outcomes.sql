-- Bookings of which nobody knows yet whether they were made: the answer to a create that must not be repeated was lost.
-- Nobody's address stands here; our key in the booking's metadata finds it again.

CREATE TABLE open_outcomes (
    key           text PRIMARY KEY,                    -- the request's key, which the booking carries
    event_type_id bigint NOT NULL,
    starts_at     timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL,
    looks         integer NOT NULL DEFAULT 0,
    looked_at     timestamptz,
    closed_at     timestamptz,                         -- null: still open
    booking_uid   text                                 -- of a closed one; null: it was never made
);
CREATE INDEX open_outcomes_open ON open_outcomes (opened_at) WHERE closed_at IS NULL;

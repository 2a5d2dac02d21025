-- Bookings: which listings show them, what is private, who of the people is a user; positions of reads; proven
-- deletions; quarantine with replay; erased people.

ALTER TABLE bookings
    ADD COLUMN listings   text[] NOT NULL DEFAULT '{mine}',  -- mine, team:<id>, organization:<id>; empty: shown by none,
    ADD COLUMN is_private boolean NOT NULL DEFAULT false;    -- and not yet proven gone. Private: only its time is kept
CREATE INDEX bookings_created_at ON bookings (created_at);
CREATE INDEX bookings_unlisted ON bookings (uid)
    WHERE listings = '{}' AND deleted_at IS NULL AND out_of_scope_at IS NULL;

-- A check per row would lock its booking's row, that is, write to it. Rows and people are written in one transaction.
ALTER TABLE booking_attendees DROP CONSTRAINT booking_attendees_booking_uid_fkey;
ALTER TABLE booking_hosts DROP CONSTRAINT booking_hosts_booking_uid_fkey;
ALTER TABLE booking_attendees ADD COLUMN user_id bigint;     -- an attendee who is a user: their own times close too

-- What is known of each listing.
CREATE TABLE booking_listings (
    listing         text PRIMARY KEY,
    scope           jsonb,                                   -- teams and roles at the last look
    roles_seen_at   timestamptz,
    needs_full      text,                                    -- why the next read must be a full one
    polled_at       timestamptz,                             -- Cal.com's Date when the last read that ended began
    full_done_at    timestamptz,                             -- the same of the last full read
    total           bigint,                                  -- Cal.com's count then
    filters_changes boolean,                                 -- whether the build honours update filters here
    policy          text,                                    -- how the people of its bookings are kept
    ours            text                                     -- what counted as ours when private ones were told apart
);

ALTER TABLE quarantine
    ADD COLUMN uid         text,                             -- where it could be read
    ADD COLUMN resolved_at timestamptz;                      -- read since, or replayed; the record stays
CREATE INDEX quarantine_open ON quarantine (stream, uid) WHERE resolved_at IS NULL;

-- People who were erased. A keyed hash of the address, so that the next read does not bring them back.
CREATE TABLE erasures (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject   bytea NOT NULL UNIQUE,
    erased_at timestamptz NOT NULL,
    receipt   jsonb NOT NULL
);

-- The key of hashed addresses: made here at first use, or a fingerprint of CALCOM_PRIVACY_KEY.
CREATE TABLE privacy_key (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret      bytea,                                       -- null: the key is a setting
    fingerprint bytea NOT NULL
);

-- One row per appointment: a booking that was moved counts once, as its last one. Ids grow with every move, which
-- keeps the walk back finite. A seated booking may have been moved in part; it stays a row of its own then.
CREATE VIEW appointments AS
WITH RECURSIVE shown AS (
    SELECT * FROM bookings WHERE deleted_at IS NULL AND out_of_scope_at IS NULL
), back AS (
    SELECT last.uid AS last_uid, last.uid, last.id, last.rescheduled_from_uid, 0 AS moves
    FROM shown last
    WHERE last.status <> 'cancelled'
       OR NOT EXISTS (SELECT FROM shown next WHERE next.rescheduled_from_uid = last.uid AND next.id > last.id)
    UNION ALL
    SELECT back.last_uid, earlier.uid, earlier.id, earlier.rescheduled_from_uid, back.moves + 1
    FROM back JOIN shown earlier ON earlier.uid = back.rescheduled_from_uid AND earlier.id < back.id
), first AS (
    SELECT DISTINCT ON (last_uid) last_uid, uid AS first_uid, moves FROM back ORDER BY last_uid, moves DESC
)
SELECT first.first_uid, shown.uid, first.moves, shown.status, shown.title, shown.starts_at, shown.ends_at,
       shown.event_type_id, shown.event_type_slug, shown.location, shown.cancellation_reason, shown.recurring_uid,
       shown.absent_host, shown.is_private, origin.starts_at AS first_starts_at, origin.created_at AS booked_at,
       shown.created_at, shown.updated_at
FROM first JOIN shown ON shown.uid = first.last_uid JOIN shown origin ON origin.uid = first.first_uid;

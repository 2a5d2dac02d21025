"""Every statement about bookings and their people, named and explained. Values are always parameters or COPY rows."""

from calcom_pipeline.adapters.postgres.copy_rows import AS_IT_IS
from calcom_pipeline.adapters.postgres.statements import is_ahead

#: Columns that are written with a page, with their types.
BOOKING_COLUMNS = {
    "uid": "text",
    "id": "int8",
    "status": "text",
    "title": "text",
    "description": "text",
    "starts_at": "timestamptz",
    "ends_at": "timestamptz",
    "event_type_id": "int8",
    "event_type_slug": "text",
    "location": "text",
    "cancellation_reason": "text",
    "rescheduled_from_uid": "text",
    "rescheduled_to_uid": "text",
    "recurring_uid": "text",
    "absent_host": "bool",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "raw": AS_IT_IS,
    "payload_hash": "bytea",
    "read_started_at": "timestamptz",
    "listings": AS_IT_IS,
    "is_private": "bool",
}
ATTENDEE_COLUMNS = {
    "booking_uid": "text",
    "position": "int4",
    "email": "text",
    "name": "text",
    "time_zone": "text",
    "language": "text",
    "absent": "bool",
    "phone_number": "text",
    "seat_uid": "text",
    "user_id": "int8",
}
HOST_COLUMNS = {
    "booking_uid": "text",
    "position": "int4",
    "user_id": "int8",
    "username": "text",
    "name": "text",
    "email": "text",
    "time_zone": "text",
}
_COLUMNS = ", ".join(BOOKING_COLUMNS)

# --- storing a page --------------------------------------------------------------------------------------------------

# Which rows of a page have to be written, and what stood there before. An unchanged booking is not written at all;
# only this much of an unchanged page is ever sent. An older read must not overwrite a newer one, unless its stamp is
# the newer one: then a clock is wrong. A later read wins even over a newer stamp: a commit that was late, a stamp that
# was taken away or had come from the future all make stamps go back. A read ahead of now was none (a clock was wrong).
COMPARE = f"""
SELECT new.uid, old.uid IS NULL, old.deleted_at IS NOT NULL, old.is_private, old.status, old.starts_at, old.ends_at,
       old.event_type_id,
       CASE WHEN old.uid IS NOT NULL THEN
           ARRAY(SELECT user_id FROM booking_hosts WHERE booking_uid = old.uid AND user_id IS NOT NULL
                 UNION SELECT user_id FROM booking_attendees WHERE booking_uid = old.uid AND user_id IS NOT NULL) END,
       CASE WHEN old.uid IS NOT NULL THEN (SELECT count(*) FROM booking_attendees WHERE booking_uid = old.uid) END
FROM jsonb_to_recordset(%(rows)s::text::jsonb) AS new (uid text, hash text, if_ours text, updated_at timestamptz)
LEFT JOIN bookings old ON old.uid = new.uid
WHERE old.uid IS NULL
   OR ((old.read_started_at <= %(read_started_at)s::timestamptz
        OR {is_ahead("old.read_started_at", "%(read_started_at)s::timestamptz")}
        OR (old.deleted_at IS NULL AND coalesce(old.updated_at, '-infinity') < new.updated_at))
       AND (old.payload_hash <> decode(CASE WHEN old.is_private THEN new.hash ELSE coalesce(new.if_ours, new.hash) END,
                                       'hex')
            OR NOT %(listing)s::text = ANY(old.listings)
            OR old.deleted_at IS NOT NULL OR old.out_of_scope_at IS NOT NULL))"""  # noqa: S608 - constants

# A page goes to disk a moment after its commit. A server that dies in that moment loses the page with its positions and
# its facts, and the next read brings all of it again; the end of a read waits for the disk, and with it for all pages.
COMMIT_WITHOUT_WAITING = "SET LOCAL synchronous_commit TO off"

# Made for a page that has changed rows, and gone with its transaction: behind a pooler a session is not ours to keep a
# table on, and another account may be the next to use it.
STAGE = "CREATE TEMP TABLE incoming_bookings (LIKE bookings) ON COMMIT DROP"

# Only what COMPARE has named, under the same lock.
UPSERT = f"""
INSERT INTO bookings ({_COLUMNS}) SELECT {_COLUMNS} FROM incoming_bookings
ON CONFLICT (uid) DO UPDATE SET
    id = excluded.id, status = excluded.status, title = excluded.title, description = excluded.description,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, event_type_id = excluded.event_type_id,
    event_type_slug = excluded.event_type_slug, location = excluded.location,
    cancellation_reason = excluded.cancellation_reason, rescheduled_from_uid = excluded.rescheduled_from_uid,
    rescheduled_to_uid = excluded.rescheduled_to_uid, recurring_uid = excluded.recurring_uid,
    absent_host = excluded.absent_host, created_at = excluded.created_at, updated_at = excluded.updated_at,
    raw = excluded.raw, payload_hash = excluded.payload_hash, read_started_at = excluded.read_started_at,
    listings = ARRAY(SELECT DISTINCT unnest(bookings.listings || excluded.listings) ORDER BY 1),
    is_private = excluded.is_private, deleted_at = NULL, out_of_scope_at = NULL"""  # noqa: S608 - constants above

DROP_ATTENDEES = "DELETE FROM booking_attendees WHERE booking_uid = ANY(%(uids)s)"
DROP_HOSTS = "DELETE FROM booking_hosts WHERE booking_uid = ANY(%(uids)s)"

# What a listing showed inside the keys of a page, before that page. Rows from this read or a later one are not meant.
_LISTED_BEFORE = """
SELECT uid FROM bookings
WHERE {key} >= coalesce(%(low)s, '-infinity'::timestamptz) AND {key} < coalesce(%(high)s, 'infinity'::timestamptz)
  AND %(listing)s = ANY(listings) AND (read_started_at < %(sent_at)s OR {is_ahead})"""
LISTED_BEFORE = {
    "createdAt": _LISTED_BEFORE.format(key="created_at", is_ahead=is_ahead("read_started_at", "%(sent_at)s")),
    "start": _LISTED_BEFORE.format(key="starts_at", is_ahead=is_ahead("read_started_at", "%(sent_at)s")),
}

# Those of them that the page does not show.
UNLIST = "UPDATE bookings SET listings = array_remove(listings, %(listing)s) WHERE uid = ANY(%(uids)s)"

# --- who is who ------------------------------------------------------------------------------------------------------

USERS = "SELECT email, user_id FROM calcom_users WHERE email IS NOT NULL"

KEEP_USERS = """
INSERT INTO calcom_users (user_id, email, username, seen_at)
SELECT DISTINCT ON (user_id) user_id, email, username, %(seen_at)s
FROM unnest(%(user_ids)s::bigint[], %(emails)s::text[], %(usernames)s::text[]) AS seen (user_id, email, username)
ON CONFLICT (user_id) DO UPDATE
SET email = coalesce(excluded.email, calcom_users.email),
    username = coalesce(excluded.username, calcom_users.username), seen_at = excluded.seen_at
WHERE (coalesce(excluded.email, calcom_users.email), coalesce(excluded.username, calcom_users.username))
   IS DISTINCT FROM (calcom_users.email, calcom_users.username)"""

# What is ours, once the event types of the key's user and of all its teams have been read; else no row.
OURS = """
SELECT me.user_id, (SELECT email FROM calcom_users WHERE calcom_users.user_id = me.user_id),
       (SELECT coalesce(array_agg(id), '{}') FROM event_types),
       (SELECT coalesce(array_agg(DISTINCT slug), '{}') FROM event_types
        WHERE scheduling_type = 'managed' AND parent_id IS NULL)
FROM (SELECT substring(partition FROM 6)::bigint AS user_id FROM watermarks
      WHERE stream = 'event_types' AND partition LIKE 'user:%%' ORDER BY position DESC LIMIT 1) me
WHERE NOT EXISTS (
    SELECT FROM booking_listings, jsonb_array_elements_text(scope -> 'teams') team
    WHERE listing = 'mine' AND NOT EXISTS (
        SELECT FROM watermarks WHERE stream = 'event_types' AND partition = 'team:' || team))"""

# --- positions and what is known of a listing --------------------------------------------------------------------

# A read by creation or start owns its position; one that was overtaken by a new one no longer moves it.
SET_POSITION = """
INSERT INTO watermarks (stream, partition, position, read_started_at)
VALUES (%(stream)s, %(partition)s, %(reached)s, %(started_at)s)
ON CONFLICT (stream, partition) DO UPDATE SET position = excluded.position
WHERE watermarks.read_started_at = excluded.read_started_at AND excluded.position > watermarks.position"""

POSITION = """
SELECT stream, partition, position, read_started_at FROM watermarks
WHERE stream = %(stream)s AND partition = %(partition)s"""

DROP_POSITION = "DELETE FROM watermarks WHERE stream = %(stream)s AND partition = %(partition)s"

LISTING = """
SELECT scope, roles_seen_at, needs_full, polled_at, full_done_at, filters_changes, policy, total
FROM booking_listings WHERE listing = %(listing)s"""

# The reason for a full read and the scope it follows from are kept together: neither may survive without the other.
KEEP_SCOPE = """
INSERT INTO booking_listings (listing, scope, roles_seen_at, needs_full)
VALUES (%(listing)s, %(scope)s, %(roles_seen_at)s, %(needs_full)s)
ON CONFLICT (listing) DO UPDATE SET scope = excluded.scope,
    roles_seen_at = coalesce(excluded.roles_seen_at, booking_listings.roles_seen_at),
    needs_full = coalesce(excluded.needs_full, booking_listings.needs_full)"""

# A full read settles the reason it was made for, not one that came up while it ran.
FINISH = f"""
INSERT INTO booking_listings (listing, polled_at, full_done_at, total, filters_changes, policy, needs_full)
VALUES (%(listing)s, %(polled_at)s, %(full_done_at)s, %(total)s, %(filters_changes)s, %(policy)s, %(needs_full)s)
ON CONFLICT (listing) DO UPDATE SET
    polled_at = greatest(CASE WHEN NOT {is_ahead("booking_listings.polled_at", "excluded.polled_at")}
                              THEN booking_listings.polled_at END, excluded.polled_at),
    full_done_at = coalesce(excluded.full_done_at, booking_listings.full_done_at),
    total = coalesce(excluded.total, booking_listings.total),
    filters_changes = coalesce(excluded.filters_changes, booking_listings.filters_changes),
    policy = coalesce(excluded.policy, booking_listings.policy),
    needs_full = CASE WHEN %(full)s AND booking_listings.needs_full IS NOT DISTINCT FROM %(settled)s THEN NULL
                      ELSE coalesce(booking_listings.needs_full, excluded.needs_full) END"""  # noqa: S608 - constants

# Positions of full reads of this listing that began no later; what they were for has been read now.
DROP_FULL_POSITIONS = f"""
DELETE FROM watermarks
WHERE stream = %(stream)s AND starts_with(partition, %(listing)s || ' ')
  AND (read_started_at <= %(polled_at)s OR {is_ahead("read_started_at", "%(polled_at)s")})"""  # noqa: S608 - constants

FORGET_LISTINGS = "DELETE FROM booking_listings WHERE NOT listing = ANY(%(listings)s) RETURNING listing"

LEAVE_LISTINGS = """
UPDATE bookings SET listings = ARRAY(SELECT name FROM unnest(listings) name WHERE NOT name = ANY(%(listings)s))
WHERE listings && %(listings)s"""

# --- what is no longer shown -------------------------------------------------------------------------------------

UNLISTED = """
SELECT uid FROM bookings WHERE listings = '{}' AND deleted_at IS NULL AND out_of_scope_at IS NULL
ORDER BY uid LIMIT %(limit)s"""

LISTED = """
SELECT uid FROM bookings WHERE listings <> '{}' AND deleted_at IS NULL AND out_of_scope_at IS NULL
ORDER BY created_at DESC NULLS LAST LIMIT %(limit)s"""

# The moment of the proof becomes the row's version, so that no older read brings it back.
MARK_GONE = f"""
UPDATE bookings SET deleted_at = %(read_at)s, read_started_at = %(read_at)s
WHERE uid = %(uid)s AND deleted_at IS NULL
  AND (read_started_at <= %(read_at)s OR {is_ahead("read_started_at", "%(read_at)s")})"""  # noqa: S608 - constants

MARK_OUT_OF_SCOPE = f"""
UPDATE bookings SET out_of_scope_at = %(read_at)s, read_started_at = %(read_at)s
WHERE uid = %(uid)s AND out_of_scope_at IS NULL
  AND (read_started_at <= %(read_at)s OR {is_ahead("read_started_at", "%(read_at)s")})"""  # noqa: S608 - constants

# A booking's footprint as it stands, before it is marked.
FOOTPRINT = """
SELECT status, starts_at, ends_at, event_type_id,
       ARRAY(SELECT user_id FROM booking_hosts WHERE booking_uid = uid AND user_id IS NOT NULL
             UNION SELECT user_id FROM booking_attendees WHERE booking_uid = uid AND user_id IS NOT NULL),
       (SELECT count(*) FROM booking_attendees WHERE booking_uid = uid)
FROM bookings WHERE uid = %(uid)s AND deleted_at IS NULL"""

LIVE = """
SELECT (SELECT count(*) FROM bookings
        WHERE %(listing)s = ANY(listings) AND deleted_at IS NULL AND out_of_scope_at IS NULL)
     + (SELECT count(DISTINCT coalesce(uid, hash)) FROM quarantine
        WHERE stream = 'bookings' AND resolved_at IS NULL
          AND NOT EXISTS (SELECT FROM bookings WHERE bookings.uid = quarantine.uid))"""

# --- quarantine ------------------------------------------------------------------------------------------------------

QUARANTINE = f"""
INSERT INTO quarantine (stream, hash, raw, reason, uid, first_seen_at, last_seen_at)
VALUES (%(stream)s, %(hash)s, %(raw)s, %(reason)s, %(uid)s, %(seen_at)s, %(seen_at)s)
ON CONFLICT (stream, hash) DO UPDATE
SET reason = excluded.reason, uid = excluded.uid, times_seen = quarantine.times_seen + 1,
    last_seen_at = greatest(CASE WHEN NOT {is_ahead("quarantine.last_seen_at", "excluded.last_seen_at")}
                                 THEN quarantine.last_seen_at END, excluded.last_seen_at), resolved_at = NULL"""  # noqa: S608 - constants

# What has to be known before a page is stored: who was erased, and whether records wait to be read at last.
SITUATION = """
SELECT ARRAY(SELECT subject FROM erasures),
       EXISTS (SELECT FROM quarantine WHERE stream = %(stream)s AND resolved_at IS NULL AND uid IS NOT NULL)"""

# What was unreadable has been read since, in a later request.
RESOLVE_QUARANTINE = f"""
UPDATE quarantine SET resolved_at = %(read_at)s
WHERE stream = %(stream)s AND resolved_at IS NULL AND uid = ANY(%(uids)s)
  AND (last_seen_at < %(read_at)s OR {is_ahead("last_seen_at", "%(read_at)s")})"""  # noqa: S608 - constants

OPEN_QUARANTINE = """
SELECT hash, uid, reason, times_seen, last_seen_at, raw FROM quarantine
WHERE stream = %(stream)s AND resolved_at IS NULL ORDER BY first_seen_at, hash"""

RESOLVE_RECORD = """
UPDATE quarantine SET resolved_at = %(at)s WHERE stream = %(stream)s AND hash = %(hash)s AND resolved_at IS NULL"""

# --- people who were erased ------------------------------------------------------------------------------------------

# Who may be meant; the caller looks closer. `needles` are the spellings of one address: as it is, as it stands in web
# addresses, as its keyed hash. `digits`, if it is a number: they may stand with anything between them.
FIND_PERSON = r"""
SELECT uid, raw::text FROM bookings
WHERE EXISTS (SELECT FROM unnest(%(needles)s::text[]) needle WHERE position(needle IN lower(raw::text)) > 0)
   OR position(%(digits)s::text IN regexp_replace(replace(raw::text, '(0)', ''), '\D', '', 'g')) > 0"""

BARE_BOOKING = """
UPDATE bookings SET title = '', description = NULL, location = NULL, cancellation_reason = '', raw = %(raw)s,
    payload_hash = %(payload_hash)s
WHERE uid = %(uid)s"""

KEEP_PERSON = """
UPDATE booking_attendees SET email = %(email)s, name = %(name)s, time_zone = %(time_zone)s, language = %(language)s,
    phone_number = %(phone_number)s, seat_uid = %(seat_uid)s
WHERE booking_uid = %(uid)s AND position = %(position)s
  AND (email, name, time_zone, language, phone_number, seat_uid) IS DISTINCT FROM
      (%(email)s, %(name)s, %(time_zone)s, %(language)s, %(phone_number)s, %(seat_uid)s)"""

RAW_RECORDS = "SELECT stream, hash, raw FROM quarantine WHERE raw <> ''"
EMPTY_RECORD = "UPDATE quarantine SET raw = '' WHERE stream = %(stream)s AND hash = %(hash)s"

FORGET_USERS = "UPDATE calcom_users SET email = NULL WHERE user_id = ANY(%(user_ids)s)"
HOST_ADDRESSES = "SELECT email, count(*) FROM booking_hosts WHERE email IS NOT NULL GROUP BY email"

KEEP_ERASURE = """
INSERT INTO erasures (subject, erased_at, receipt) VALUES (%(subject)s, %(erased_at)s, %(receipt)s)
ON CONFLICT (subject) DO UPDATE SET erased_at = excluded.erased_at, receipt = excluded.receipt
RETURNING id"""

# --- another policy ------------------------------------------------------------------------------------------------

# How people were kept when each listing was last read in full; null: that has not been yet.
POLICIES = "SELECT listing, policy FROM booking_listings"

KEPT_PEOPLE = """
SELECT uid, raw::text, payload_hash FROM bookings
WHERE NOT is_private AND uid > %(after)s ORDER BY uid LIMIT %(limit)s"""

EMPTY_RECORDS = "UPDATE quarantine SET raw = '' WHERE stream = %(stream)s AND raw <> ''"

# --- private bookings ------------------------------------------------------------------------------------------------

CLASSIFIED_BY = "SELECT ours FROM booking_listings WHERE listing = 'mine'"
LOCK_CLASSIFIED_BY = f"{CLASSIFIED_BY} FOR UPDATE"

KEEP_CLASSIFIED_BY = "UPDATE booking_listings SET ours = %(ours)s WHERE listing = 'mine'"

# Rows of event types that are not ours. Those without one were known as ours while they had it, unless nothing was
# told apart before.
MAYBE_PRIVATE = """
SELECT uid, raw::text FROM bookings
WHERE NOT is_private AND deleted_at IS NULL AND NOT coalesce(event_type_id = ANY(%(ids)s), NOT %(first_time)s)"""

OURS_AFTER_ALL = """
SELECT uid FROM bookings
WHERE is_private AND event_type_id = ANY(%(ids)s) AND deleted_at IS NULL AND out_of_scope_at IS NULL
ORDER BY uid LIMIT %(limit)s"""

MAKE_PRIVATE = """
UPDATE bookings SET is_private = true, title = '', description = NULL, location = NULL, cancellation_reason = '',
    event_type_slug = NULL, raw = %(raw)s, payload_hash = %(payload_hash)s
WHERE uid = %(uid)s"""

PRIVATE_HOSTS = "UPDATE booking_hosts SET name = NULL, email = NULL, time_zone = NULL WHERE booking_uid = ANY(%(uids)s)"

# --- retention -------------------------------------------------------------------------------------------------------

# By start as well, which has an index: what ended before began before.
FORGET = """
WITH old AS (
    DELETE FROM bookings WHERE uid IN (
        SELECT uid FROM bookings WHERE starts_at < %(before)s AND ends_at < %(before)s LIMIT %(limit)s)
    RETURNING uid
), attendees AS (
    DELETE FROM booking_attendees WHERE booking_uid IN (SELECT uid FROM old)
), hosts AS (
    DELETE FROM booking_hosts WHERE booking_uid IN (SELECT uid FROM old)
)
SELECT count(*) FROM old"""

# What was last seen before then is listed no more, or is read again.
FORGET_RECORDS = "DELETE FROM quarantine WHERE stream = %(stream)s AND last_seen_at < %(before)s"

# --- the key ---------------------------------------------------------------------------------------------------------

PRIVACY_KEY = "SELECT secret, fingerprint FROM privacy_key"

KEEP_PRIVACY_KEY = """
INSERT INTO privacy_key (secret, fingerprint) VALUES (%(secret)s, %(fingerprint)s) ON CONFLICT (one) DO NOTHING"""

# --- what people and checks ask --------------------------------------------------------------------------------------

# A host's bookings in order; one that begins before the latest end so far overlaps. Seats show as seats of attendees
# even when the event type is gone.
OVERLAPS = """
WITH taken AS (
    SELECT bookings.uid, booking_hosts.user_id, starts_at, ends_at, max(ends_at) OVER (
        PARTITION BY booking_hosts.user_id ORDER BY starts_at, ends_at, bookings.uid
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
    FROM bookings JOIN booking_hosts ON booking_hosts.booking_uid = bookings.uid
    LEFT JOIN event_types ON event_types.id = bookings.event_type_id
    WHERE status = 'accepted' AND bookings.deleted_at IS NULL AND out_of_scope_at IS NULL AND ends_at > %(since)s
      AND starts_at < ends_at AND booking_hosts.user_id IS NOT NULL AND event_types.seats_per_slot IS NULL
      AND event_types.scheduling_type IS DISTINCT FROM 'collective'
      AND NOT EXISTS (SELECT FROM booking_attendees WHERE booking_uid = bookings.uid AND seat_uid IS NOT NULL)
)
SELECT uid, user_id, starts_at, busy_until FROM taken WHERE starts_at < busy_until ORDER BY starts_at LIMIT %(limit)s"""

BY_MONTH = """
SELECT date_trunc('month', starts_at)::date, status, count(*) FROM bookings
WHERE deleted_at IS NULL AND out_of_scope_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2"""

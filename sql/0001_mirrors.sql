-- The mirrors of Cal.com: what it offers, what was booked, what is free. Names are unqualified; the schema comes from
-- the connection's search_path. Instants are timestamptz, lengths say their unit, money is in minor units.

CREATE TABLE event_types (
    id                      bigint PRIMARY KEY,
    owner                   text NOT NULL,             -- user:<id> or team:<id>; slugs are unique within it
    slug                    text NOT NULL,
    title                   text NOT NULL,
    description             text NOT NULL,
    duration_minutes        integer NOT NULL,
    duration_options        integer[] NOT NULL,
    hidden                  boolean NOT NULL,
    schedule_id             bigint,
    schedule_zone           text NOT NULL,             -- its own schedule's if readable, else its team's or user's
    scheduling_type         text,
    parent_id               bigint,
    slot_interval_minutes   integer,
    minimum_notice_minutes  integer NOT NULL,
    before_buffer_minutes   integer NOT NULL,
    after_buffer_minutes    integer NOT NULL,
    seats_per_slot          integer,
    requires_confirmation   boolean NOT NULL,
    recurring               boolean NOT NULL,
    price_minor             bigint NOT NULL,
    currency                text NOT NULL,
    host_ids                bigint[] NOT NULL,
    assign_all_team_members boolean NOT NULL,
    limit_periods           text[] NOT NULL,           -- of day, week, month, year: periods a full limit closes
    raw                     jsonb NOT NULL,
    content_hash            text NOT NULL,             -- event types carry no timestamps, so this tells a change
    first_seen_at           timestamptz NOT NULL,
    changed_at              timestamptz NOT NULL,      -- last seen is the watermark of its owner: a look that finds
    deleted_at              timestamptz                -- nothing new touches no row
);
CREATE INDEX event_types_owner ON event_types (owner, slug);
CREATE INDEX event_types_hosts ON event_types USING gin (host_ids);

CREATE TABLE bookings (
    uid                  text PRIMARY KEY,
    id                   bigint NOT NULL,
    status               text NOT NULL,
    title                text NOT NULL,
    description          text,
    starts_at            timestamptz NOT NULL,
    ends_at              timestamptz NOT NULL,
    event_type_id        bigint,                       -- no foreign key: bookings outlive their event type
    event_type_slug      text,
    location             text,
    cancellation_reason  text NOT NULL,
    rescheduled_from_uid text,
    rescheduled_to_uid   text,
    recurring_uid        text,
    absent_host          boolean NOT NULL,
    created_at           timestamptz,
    updated_at           timestamptz,
    raw                  jsonb NOT NULL,
    payload_hash         bytea NOT NULL,
    read_started_at      timestamptz NOT NULL,         -- with updated_at the version of the row
    deleted_at           timestamptz,
    out_of_scope_at      timestamptz
);
CREATE INDEX bookings_starts_at ON bookings (starts_at);
CREATE INDEX bookings_event_type ON bookings (event_type_id, starts_at);
CREATE INDEX bookings_rescheduled_from ON bookings (rescheduled_from_uid) WHERE rescheduled_from_uid IS NOT NULL;

CREATE TABLE booking_attendees (
    booking_uid  text NOT NULL REFERENCES bookings ON DELETE CASCADE,
    position     integer NOT NULL,
    email        text,
    name         text,
    time_zone    text,
    language     text,
    absent       boolean,
    phone_number text,
    seat_uid     text,
    PRIMARY KEY (booking_uid, position)
);
CREATE INDEX booking_attendees_email ON booking_attendees (email);

CREATE TABLE booking_hosts (
    booking_uid text NOT NULL REFERENCES bookings ON DELETE CASCADE,
    position    integer NOT NULL,
    user_id     bigint,                                -- null where Cal.com says "unknown"
    username    text,
    name        text,
    email       text,
    time_zone   text,
    PRIMARY KEY (booking_uid, position)
);
CREATE INDEX booking_hosts_user ON booking_hosts (user_id);

-- One row per local day of one canonical query; an empty day is a row without starts.
CREATE TABLE slots (
    event_type_id    bigint NOT NULL,
    duration_minutes integer NOT NULL,
    zone             text NOT NULL,
    day              date NOT NULL,
    starts           timestamptz[] NOT NULL,
    seats            jsonb,                            -- [[remaining, total], ...] beside `starts`, where there are seats
    fetched_at       timestamptz NOT NULL,
    PRIMARY KEY (event_type_id, duration_minutes, zone, day)
);

-- The committed position of each incremental read.
CREATE TABLE watermarks (
    stream          text NOT NULL,
    partition       text NOT NULL,
    position        timestamptz NOT NULL,
    read_started_at timestamptz NOT NULL,
    PRIMARY KEY (stream, partition)
);

-- Records that could not be read, as they came: jsonb would refuse some of them.
CREATE TABLE quarantine (
    stream        text NOT NULL,
    hash          text NOT NULL,
    raw           bytea NOT NULL,
    reason        text NOT NULL,
    times_seen    integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (stream, hash)
);

-- One row per request to Cal.com. Partitioned by month from the start; the default partition catches what has none.
CREATE TABLE api_calls (
    called_at     timestamptz NOT NULL,
    operation     text NOT NULL,
    endpoint_group text NOT NULL,
    method        text NOT NULL,
    status        integer,                             -- null: no answer
    outcome       text NOT NULL,
    duration_ms   integer NOT NULL,
    waited_ms     integer NOT NULL,
    attempt       integer NOT NULL,
    lane          text NOT NULL,
    request_id    text
) PARTITION BY RANGE (called_at);
CREATE INDEX api_calls_called_at ON api_calls (called_at);
CREATE TABLE api_calls_default PARTITION OF api_calls DEFAULT;

-- Makes the partitions of this month and the next ones; answers how many it made.
CREATE FUNCTION make_api_calls_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    made integer := 0;
BEGIN
    FOR step IN 0..months_ahead LOOP
        month := date_trunc('month', now()) + make_interval(months => step);
        IF to_regclass('api_calls_' || to_char(month, 'YYYY_MM')) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF api_calls FOR VALUES FROM (%L) TO (%L)',
                           'api_calls_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
SELECT make_api_calls_partitions(2);

-- A business's services, their change feed, their links to event types, plans and what came of them, and the outbox
-- of facts from which caches are invalidated.

-- The default services table, for a business that has none. No CHECKs: bad values are refused by validation, one
-- service at a time, so that one of them never stops the others.
CREATE TABLE services (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                   text,
    slug                   text,
    description            text,
    duration_minutes       integer,
    price_minor            bigint,                      -- minor units, kept here only: Cal.com's API does not accept it
    currency               text,
    is_active              boolean NOT NULL DEFAULT true,
    team_id                bigint,                      -- Cal.com's team; null: the key's own user
    before_buffer_minutes  integer,                     -- null: not managed here, Cal.com's value stands
    after_buffer_minutes   integer,
    minimum_notice_minutes integer,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    row_version            bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX services_slug ON services (coalesce(team_id, 0), slug);

CREATE FUNCTION bump_service_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    NEW.row_version := OLD.row_version + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER services_version BEFORE UPDATE ON services FOR EACH ROW EXECUTE FUNCTION bump_service_version();

-- The feed. Ids commit out of order, so readers go by (xid, id) and only below pg_snapshot_xmin. The actor tells our own
-- writes from everybody else's; it is set by SET LOCAL calcom.actor.
CREATE TABLE service_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    service_id text NOT NULL,
    operation  text NOT NULL,
    actor      text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX service_changes_position ON service_changes (xid, id);

-- Writes one feed row per changed service. Its argument names the key column of the table it is attached to, so a
-- business's own table can use it too (`calcom-pipeline services attach`).
CREATE FUNCTION record_service_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    EXECUTE format('INSERT INTO %I.service_changes (service_id, operation, actor) VALUES ($1, $2, $3)', TG_ARGV[1])
        USING changed ->> TG_ARGV[0], lower(TG_OP), coalesce(nullif(current_setting('calcom.actor', true), ''), 'somebody');
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('CREATE TRIGGER services_feed AFTER INSERT OR UPDATE OR DELETE ON services
                    FOR EACH ROW EXECUTE FUNCTION record_service_change(''id'', %L)', current_schema());
END $$;

-- What the pipeline reads and writes services through. A business with a table of its own redefines this view and its
-- trigger function; nothing else knows the table behind it.
CREATE VIEW services_source AS
SELECT id::text AS service_id, name, slug, description, duration_minutes, price_minor, currency, is_active, team_id,
       before_buffer_minutes, after_buffer_minutes, minimum_notice_minutes, row_version::text AS version
FROM services;

CREATE FUNCTION write_services_source() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        EXECUTE format('INSERT INTO %I.services (name, slug, description, duration_minutes, price_minor, currency,
            is_active, team_id, before_buffer_minutes, after_buffer_minutes, minimum_notice_minutes)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id::text', TG_TABLE_SCHEMA) INTO written
            USING NEW.name, NEW.slug, NEW.description, NEW.duration_minutes, NEW.price_minor, NEW.currency,
            coalesce(NEW.is_active, true), NEW.team_id, NEW.before_buffer_minutes, NEW.after_buffer_minutes,
            NEW.minimum_notice_minutes;
        NEW.service_id := written;
    ELSE
        EXECUTE format('UPDATE %I.services SET name = $2, slug = $3, description = $4, duration_minutes = $5,
            is_active = $6, before_buffer_minutes = $7, after_buffer_minutes = $8, minimum_notice_minutes = $9
            WHERE id = $1::bigint', TG_TABLE_SCHEMA)
            USING OLD.service_id, NEW.name, NEW.slug, NEW.description, NEW.duration_minutes, NEW.is_active,
            NEW.before_buffer_minutes, NEW.after_buffer_minutes, NEW.minimum_notice_minutes;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER services_source_write INSTEAD OF INSERT OR UPDATE ON services_source
FOR EACH ROW EXECUTE FUNCTION write_services_source();

-- The one home of a link. `base` holds the fields at the last agreement, `intent` what was about to be written.
CREATE TABLE service_links (
    service_id      text PRIMARY KEY,                   -- text: foreign tables have other keys
    owner           text NOT NULL,                      -- user:<id> or team:<id>
    event_type_id   bigint UNIQUE,                      -- one writer per event type
    base            jsonb NOT NULL,
    intent          jsonb,
    state           text NOT NULL,                      -- linked, creating, parked, retired
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    reason          text NOT NULL DEFAULT '',
    failed_version  text,                               -- the service's version at the last failure
    changed_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sync_plans (
    id         text PRIMARY KEY,
    hash       text NOT NULL,
    source     text NOT NULL,                           -- who asked: command, sensor, schedule, revert ...
    state      text NOT NULL,                           -- planned, applied, superseded
    counts     jsonb NOT NULL,
    held       jsonb NOT NULL,                          -- kinds that wait for approval by name, with their reasons
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    applied_at timestamptz
);
CREATE INDEX sync_plans_created_at ON sync_plans (created_at);

CREATE TABLE sync_actions (
    plan_id         text NOT NULL REFERENCES sync_plans ON DELETE CASCADE,
    position        integer NOT NULL,
    kind            text NOT NULL,
    service_id      text NOT NULL,                      -- empty for an event type that becomes a service
    event_type_id   bigint,
    owner           text,
    reason          text NOT NULL,
    fields          jsonb NOT NULL,                     -- per field: verdict, local, remote, base, reason
    remote          jsonb NOT NULL,                     -- the event type's values when this was decided
    service_version text NOT NULL,
    notes           jsonb NOT NULL,
    outcome         text,                               -- done, failed, stale, held; null: not tried
    message         text,
    before          jsonb,
    after           jsonb,
    error           text,
    finished_at     timestamptz,
    PRIMARY KEY (plan_id, position)
);
CREATE INDEX sync_actions_service ON sync_actions (service_id, finished_at);

-- Users of Cal.com that we know, to recognise an attendee who is a host of something.
CREATE TABLE calcom_users (
    user_id  bigint PRIMARY KEY,
    email    text,
    username text,
    seen_at  timestamptz NOT NULL
);
CREATE INDEX calcom_users_email ON calcom_users (lower(email));

-- The outbox: facts of a change. They are resolved into cached days when they are applied, and stay until that worked.
CREATE TABLE invalidations (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL,                      -- booking, event_type, schedule
    why             text NOT NULL,
    event_type_id   bigint,
    user_ids        bigint[] NOT NULL,                  -- hosts, old and new, and attendees who are hosts
    starts          timestamptz[] NOT NULL,             -- old and new times that became free or taken,
    ends            timestamptz[] NOT NULL,             -- pair by pair
    state           text NOT NULL DEFAULT 'pending',    -- pending, done
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    result          jsonb,
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);
CREATE INDEX invalidations_pending ON invalidations (id) WHERE state = 'pending';

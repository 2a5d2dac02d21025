-- Webhook subscriptions that we keep at Cal.com, and whether their deliveries arrive. No secret stands here.

-- What was last found of each.
CREATE TABLE webhook_scopes (
    scope         text PRIMARY KEY,                     -- user, event-type:<id> or team:<id>/event-type:<id>
    state         text NOT NULL CHECK (state IN ('right', 'wrong', 'failed')),
    reason        text NOT NULL,
    reason_code   text NOT NULL,
    reason_params jsonb NOT NULL DEFAULT '{}',
    webhook_id    text,                                 -- ours at Cal.com, whatever address it calls
    since         timestamptz,                          -- deliveries can be expected from then on
    checked_at    timestamptz NOT NULL
);

-- A change that has to fire a trigger, by the booking's own times. Of a booking each kind once, but moves.
CREATE TABLE webhook_findings (
    uid         text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('created', 'cancelled', 'rejected')),
    happened_at timestamptz NOT NULL,
    found_at    timestamptz NOT NULL,
    named_at    timestamptz,                            -- when the first delivery that names it arrived
    PRIMARY KEY (uid, kind)
);
CREATE INDEX webhook_findings_happened_at ON webhook_findings (happened_at);

-- The last look of the sensor of bookings.
CREATE TABLE webhook_sweep (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    looked_at timestamptz NOT NULL
);

-- Changes of the last hours are looked for.
CREATE INDEX IF NOT EXISTS bookings_updated_at ON bookings (updated_at);

-- Failures are told to people once per cause.
CREATE TABLE alerts (
    cause    text PRIMARY KEY,
    sent_at  timestamptz,                               -- of the last message; null: none got out
    seen_at  timestamptz NOT NULL,
    failures bigint NOT NULL                            -- that were not told since then
);

-- Deliveries of webhooks, from their answer until the booking they name was read again. Cal.com delivers once.

CREATE TABLE webhook_inbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest          bytea NOT NULL UNIQUE,              -- SHA-256 of the raw body: the same bytes are one delivery
    trigger         text NOT NULL,
    uid             text,
    old_uid         text,                               -- that a rescheduled booking replaces
    body            bytea NOT NULL,                     -- empty once it was dealt with, and where people are not kept
    created_at      timestamptz,                        -- as the body says
    received_at     timestamptz NOT NULL,
    state           text NOT NULL,                      -- open, done, unknown, quarantined
    attempts        integer NOT NULL DEFAULT 0,         -- that failed for a reason of its own
    claims          integer NOT NULL DEFAULT 0,         -- times that somebody set out to deal with it
    claim           text,                               -- of whoever deals with it until next_attempt_at
    next_attempt_at timestamptz NOT NULL,
    reason          text NOT NULL DEFAULT '',
    finished_at     timestamptz
);
CREATE INDEX webhook_inbox_open ON webhook_inbox (next_attempt_at, id) WHERE state = 'open';
CREATE INDEX webhook_inbox_uid ON webhook_inbox (uid, received_at);
CREATE INDEX webhook_inbox_old_uid ON webhook_inbox (old_uid, received_at) WHERE old_uid IS NOT NULL;
CREATE INDEX webhook_inbox_bodies ON webhook_inbox (id) WHERE body <> '';
CREATE INDEX webhook_inbox_finished ON webhook_inbox (finished_at) WHERE finished_at IS NOT NULL;

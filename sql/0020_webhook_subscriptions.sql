-- Which webhook subscriptions we keep at Cal.com, and what was last found of each. No secret stands here.
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

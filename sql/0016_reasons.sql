-- Why something is as it is, for programs beside the sentence for people; what was kept before has the sentence alone.
ALTER TABLE sync_actions ADD COLUMN reason_code text NOT NULL DEFAULT '', ADD COLUMN reason_params jsonb NOT NULL DEFAULT '{}';
ALTER TABLE sync_actions ADD COLUMN result_code text NOT NULL DEFAULT '';
ALTER TABLE service_links ADD COLUMN reason_code text NOT NULL DEFAULT '', ADD COLUMN reason_params jsonb NOT NULL DEFAULT '{}';

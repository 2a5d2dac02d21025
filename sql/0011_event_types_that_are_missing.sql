-- Event types that a listing no longer shows: noted here, and deleted only once that is proven or was seen again.
ALTER TABLE event_types
    ADD COLUMN missing_since timestamptz,                    -- the first of the looks in a row that did not show it
    ADD COLUMN missing_looks integer NOT NULL DEFAULT 0,     -- how many those are
    ADD COLUMN missing_why   text NOT NULL DEFAULT '';       -- why that is not believed yet
CREATE INDEX event_types_missing ON event_types (owner) WHERE missing_since IS NOT NULL AND deleted_at IS NULL;

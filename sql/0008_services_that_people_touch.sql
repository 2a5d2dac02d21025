-- A touch of a service that changes nothing is no edit: no new version, no run. What a business's table holds and cannot
-- be read as the number that it should be is told per service, and stops no other one.

-- A write that leaves the row as it was (many applications store what they have loaded) goes by unnoticed.
CREATE OR REPLACE TRIGGER services_version BEFORE UPDATE ON services
FOR EACH ROW WHEN (OLD.* *<> NEW.*) EXECUTE FUNCTION bump_service_version();

-- With the rights of who made it: whoever may write the business's table may thereby write the feed, and nothing else of
-- ours. A key that changes is a service that went and one that came.
CREATE OR REPLACE FUNCTION record_service_change() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text := TG_ARGV[0];
    before text := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ->> key END;
    after text := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ->> key END;
BEGIN
    EXECUTE format('INSERT INTO %I.service_changes (service_id, operation, actor)
                    SELECT DISTINCT id, $2, $3 FROM unnest($1) id WHERE id IS NOT NULL', TG_ARGV[1])
        USING ARRAY[before, after], lower(TG_OP), coalesce(nullif(current_setting('calcom.actor', true), ''), 'somebody');
    RETURN NULL;
END $$;
DROP TRIGGER services_feed ON services;
DO $$
BEGIN
    EXECUTE format('CREATE TRIGGER services_feed AFTER INSERT OR DELETE ON services
                    FOR EACH ROW EXECUTE FUNCTION record_service_change(''id'', %L)', current_schema());
    EXECUTE format('CREATE TRIGGER services_feed_update AFTER UPDATE ON services
                    FOR EACH ROW WHEN (OLD.* *<> NEW.*) EXECUTE FUNCTION record_service_change(''id'', %L)',
                   current_schema());
END $$;

-- Whole numbers and yes or no out of whatever type a business's column has; null where the value is none. They never
-- raise, and the first of each costs nothing.
CREATE FUNCTION as_integer(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION as_integer(numeric) RETURNS integer LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 BETWEEN -2147483648 AND 2147483647 AND $1 = trunc($1) THEN $1::integer END';
CREATE FUNCTION as_integer(double precision) RETURNS integer LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 BETWEEN -2147483648 AND 2147483647 AND $1 = trunc($1) THEN $1::integer END';
CREATE FUNCTION as_integer(text) RETURNS integer LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 ~ ''^\s*[+-]?\d{1,9}(\.0*)?\s*$'' THEN $1::numeric::integer END';
CREATE FUNCTION as_bigint(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION as_bigint(numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 BETWEEN -9223372036854775808 AND 9223372036854775807 AND $1 = trunc($1) THEN $1::bigint END';
CREATE FUNCTION as_bigint(double precision) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 BETWEEN -9e15 AND 9e15 AND $1 = trunc($1) THEN $1::bigint END';  -- past it they have gaps
CREATE FUNCTION as_bigint(text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1 ~ ''^\s*[+-]?\d{1,18}(\.0*)?\s*$'' THEN $1::numeric::bigint END';
CREATE FUNCTION as_boolean(boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION as_boolean(bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    'SELECT CASE $1 WHEN 1 THEN true WHEN 0 THEN false END';
CREATE FUNCTION as_boolean(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN lower(btrim($1)) IN (''t'', ''true'', ''yes'', ''on'', ''1'') THEN true
                 WHEN lower(btrim($1)) IN (''f'', ''false'', ''no'', ''off'', ''0'') THEN false END';

-- A sentence part about each value that cannot be read. Also for a table that is attached already, which gets it told
-- when it is attached again.
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW services_source AS SELECT source.*, NULL::text[] AS unreadable FROM ('
        || rtrim(pg_get_viewdef('services_source'::regclass), ';') || ') source';
END $$;

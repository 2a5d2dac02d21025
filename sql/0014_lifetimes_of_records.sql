-- What is deleted of our own records after their lifetimes must be missed by nobody: how far each reader of the feed of
-- services has come, and up to where the feed was deleted. Partitions of calls are made also where the default one holds
-- rows of theirs.

-- A reader that was not seen for the feed's lifetime is forgotten; it plans all services when it comes back.
CREATE TABLE feed_readers (
    reader  text PRIMARY KEY,
    xid     xid8 NOT NULL,                              -- with id the last change that it has dealt with
    id      bigint NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE TABLE feed_deleted_to (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch text NOT NULL,                                -- of the cluster that counts these transactions
    xid   xid8 NOT NULL,
    id    bigint NOT NULL
);

-- Makes the partitions of this month and the next ones; answers how many it made. A process that ran for months wrote
-- into the default partition, which then refuses to leave that month to another: its rows are moved.
CREATE OR REPLACE FUNCTION make_api_calls_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    month_after timestamptz;
    name text;
    made integer := 0;
BEGIN
    FOR step IN 0..months_ahead LOOP
        month := date_trunc('month', now()) + make_interval(months => step);
        month_after := month + interval '1 month';
        name := 'api_calls_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        LOCK TABLE api_calls_default IN ACCESS EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass(name) IS NOT NULL;  -- somebody else has made it meanwhile
        EXECUTE format('CREATE TABLE %I (LIKE api_calls)', name);
        EXECUTE format('WITH moved AS (DELETE FROM api_calls_default WHERE called_at >= %L AND called_at < %L RETURNING *)
                        INSERT INTO %I SELECT * FROM moved', month, month_after, name);
        EXECUTE format('ALTER TABLE api_calls ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, month, month_after);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Three roles with no more rights than each needs, for the account whose schema comes first in search_path. Not a
-- migration: an administrator runs it before the first `calcom-pipeline migrate` and after each later one.
--
--     PGOPTIONS='-c search_path=calcom' psql -v ON_ERROR_STOP=1 -f roles.sql "$ADMIN_URL"
--
-- calcom_migrator  owns the schema and what is in it: `calcom-pipeline migrate`, `services attach`
-- calcom_pipeline  reads and writes rows, changes no table: Dagster's runs, `serve`, commands, applications
-- calcom_reader    figures and states for dashboards; nobody's name, address, answers, nor any raw record
--
-- They cannot log in. Users are members of one, and the migrator's acts as the role, so that it owns what it makes:
--
--     CREATE USER app PASSWORD '...' IN ROLE calcom_pipeline;
--     CREATE USER upgrade PASSWORD '...' IN ROLE calcom_migrator;  ALTER USER upgrade SET role = calcom_migrator;
--
-- Running it again changes nothing that is right. It revokes what others hold on the schema and its tables.

DO $roles$
DECLARE
    -- The schema may not exist yet, and then is no current one.
    home     text := trim(both '"' FROM trim(split_part(current_setting('search_path'), ',', 1)));
    migrator text := home || '_migrator';
    pipeline text := home || '_pipeline';
    reader   text := home || '_reader';
    role     text;
    thing    record;
BEGIN
    IF home IN ('', '$user', 'public', 'pg_catalog') THEN
        RAISE EXCEPTION 'search_path names no schema of an account; set it as the first lines of this file say';
    END IF;

    -- Roles and rights on the database belong to all accounts: PostgreSQL refuses two that change them at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('calcom roles', 0));
    FOREACH role IN ARRAY ARRAY[migrator, pipeline, reader] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
    -- Whoever hands something over to a role has to be a member of it, a superuser excepted.
    EXECUTE format('GRANT %I TO %I', migrator, current_user);

    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', home);
    EXECUTE format('ALTER SCHEMA %I OWNER TO %I', home, migrator);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', home);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I', home, pipeline, reader);
    -- Pages of bookings are staged in temporary tables.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I, %I', current_database(), migrator, pipeline);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader);

    FOR thing IN
        SELECT relname, relkind FROM pg_class
        WHERE relnamespace = home::regnamespace AND relkind IN ('r', 'p', 'v')
        ORDER BY relkind = 'v', relispartition, relname
    LOOP
        EXECUTE format('ALTER %s %I.%I OWNER TO %I',
                       CASE thing.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, home, thing.relname, migrator);
    END LOOP;
    FOR thing IN
        SELECT oid::regprocedure::text AS signature, proname FROM pg_proc WHERE pronamespace = home::regnamespace
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', thing.signature, migrator);
        IF thing.proname = 'make_api_calls_partitions' THEN
            -- The pipeline makes next month's partition through it, and can make nothing else.
            EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', thing.signature, home);
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', thing.signature);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', thing.signature, pipeline);
        END IF;
    END LOOP;

    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC, %I, %I', home, pipeline, reader);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', home, pipeline);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', home, pipeline);
    -- The same for what migrations will make; this file has the last word when it is run after them.
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
                   migrator, home, pipeline);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO %I',
                   migrator, home, pipeline);
    IF to_regclass(format('%I.schema_migrations', home)) IS NULL THEN
        RAISE NOTICE 'Schema % has no tables yet: run this again after calcom-pipeline migrate', home;
        RETURN;
    END IF;
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %I.schema_migrations FROM %I', home, pipeline);

    -- What is listed may be read; a table that a later release adds is not, until it is listed here.
    FOR thing IN
        SELECT relname FROM pg_class
        WHERE relnamespace = home::regnamespace AND relname IN (
            'schema_migrations', 'event_types', 'slots', 'watermarks', 'api_calls', 'services', 'services_source',
            'service_changes', 'service_links', 'sync_plans', 'sync_actions', 'booking_listings', 'invalidations',
            'feed_readers', 'feed_deleted_to', 'webhook_scopes', 'webhook_findings', 'webhook_sweep', 'alerts',
            'cache_ages')
    LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', home, thing.relname, reader);
    END LOOP;
    EXECUTE format('GRANT SELECT (uid, id, status, starts_at, ends_at, event_type_id, event_type_slug, absent_host,
                    rescheduled_from_uid, rescheduled_to_uid, recurring_uid, created_at, updated_at, read_started_at,
                    deleted_at, out_of_scope_at, listings, is_private) ON %I.bookings TO %I', home, reader);
    EXECUTE format('GRANT SELECT (booking_uid, position, user_id) ON %I.booking_hosts TO %I', home, reader);
    EXECUTE format('GRANT SELECT (stream, hash, reason, times_seen, first_seen_at, last_seen_at, resolved_at)
                    ON %I.quarantine TO %I', home, reader);
    EXECUTE format('GRANT SELECT (id, trigger, created_at, received_at, state, attempts, reason, finished_at)
                    ON %I.webhook_inbox TO %I', home, reader);
END $roles$;

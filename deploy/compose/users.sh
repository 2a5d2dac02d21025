#!/bin/bash
# Runs once, when the volume of PostgreSQL is made: the roles of sql/roles.sql, a user of each that is needed, and
# Dagster's own database. Accounts as data have a schema each: run roles.sql for each of them too (docs/deploy.md).
set -euo pipefail
PGOPTIONS='-c search_path=calcom' psql --set ON_ERROR_STOP=1 --username postgres --dbname calcom --file /etc/calcom/roles.sql
# psql quotes :'name' itself, so a password may hold anything.
psql --set ON_ERROR_STOP=1 --username postgres --dbname calcom \
    --set app="$(cat /run/secrets/app_password)" --set upgrade="$(cat /run/secrets/upgrade_password)" <<'SQL'
CREATE USER app PASSWORD :'app' IN ROLE calcom_pipeline;
CREATE USER upgrade PASSWORD :'upgrade' IN ROLE calcom_migrator;
ALTER USER upgrade SET role = calcom_migrator;
CREATE DATABASE calcom_dagster OWNER app;
SQL

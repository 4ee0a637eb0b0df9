-- What the role `signet` may do, as which `signet serve` and the commands work: read, and write what they have to, and
-- nothing else. It owns nothing. Run this as the owner of the database, after each `signet migrate`:
--
--   psql --set ON_ERROR_STOP=1 --file docs/roles.sql postgres://signet_owner@db.internal/signet
--
-- It takes every other right away first, and may be run again while the service works.
BEGIN;

DO $$
BEGIN
    -- Whoever else has to connect, such as a role for backups, is let in by name.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, signet', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO signet', current_database());
END
$$;

-- Older servers let everybody create tables in here.
REVOKE ALL ON SCHEMA public FROM PUBLIC, signet;
GRANT USAGE ON SCHEMA public TO signet;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, signet;

-- The migrations that were applied, to tell which one is lacking.
GRANT SELECT ON __diesel_schema_migrations TO signet;

GRANT SELECT,
    INSERT (partner_id, name, created_at, disabled_at),
    UPDATE (disabled_at, user_count)
    ON partners TO signet;

GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_keys TO signet;

GRANT SELECT, INSERT,
    UPDATE (name, email, email_key, status, metadata, updated_at, removed_at, version)
    ON users TO signet;

-- Never UPDATE, DELETE or TRUNCATE: what was written stays.
GRANT SELECT, INSERT ON audit_entries TO signet;

COMMIT;

CREATE TABLE audit_entries (
    partner_id  uuid           NOT NULL,
    user_id     uuid           NOT NULL,
    version     bigint         NOT NULL CHECK (version >= 1),
    entry_id    uuid           NOT NULL,
    action      text           NOT NULL
                CHECK (action IN ('user.registered', 'user.updated', 'user.removed', 'user.restored')),
    actor_type  text           NOT NULL CHECK (actor_type = 'api_key'),
    actor_id    text           NOT NULL,
    actor_name  text           NOT NULL,
    changes     text           NOT NULL CHECK (changes LIKE '{%}'),
    request_id  text           NOT NULL CHECK (request_id ~ '^[A-Za-z0-9._-]{1,128}$'),
    ip_address  text,
    occurred_at timestamptz(3) NOT NULL CHECK (isfinite(occurred_at)),
    PRIMARY KEY (partner_id, user_id, version),
    FOREIGN KEY (partner_id, user_id) REFERENCES users (partner_id, user_id),
    CONSTRAINT audit_entries_first_is_registration CHECK ((version = 1) = (action = 'user.registered'))
);

CREATE INDEX audit_entries_newest ON audit_entries (partner_id, occurred_at, version, entry_id);

-- Most entries are registrations, so a trail of anything else would be a long walk past them; and a registration,
-- the write that has to be fast, does not pay for this index.
CREATE INDEX audit_entries_newest_by_action ON audit_entries (partner_id, action, occurred_at, version, entry_id)
    WHERE action <> 'user.registered';

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries can be neither updated nor deleted' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Also for sessions that play the part of replication, which skip ordinary triggers.
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_append_only;
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_no_truncate;

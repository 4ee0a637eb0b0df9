CREATE TABLE audit_entries (
    partner_id  BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    version     INTEGER NOT NULL CHECK (version >= 1),
    entry_id    BLOB    NOT NULL CHECK (length(entry_id) = 16),
    action      TEXT    NOT NULL
                CHECK (action IN ('user.registered', 'user.updated', 'user.removed', 'user.restored')),
    actor_type  TEXT    NOT NULL CHECK (actor_type = 'api_key'),
    actor_id    TEXT    NOT NULL,
    actor_name  TEXT    NOT NULL,
    changes     TEXT    NOT NULL CHECK (changes GLOB '{*}'),
    request_id  TEXT    NOT NULL
                CHECK (length(request_id) BETWEEN 1 AND 128 AND request_id NOT GLOB '*[^A-Za-z0-9._-]*'),
    ip_address  TEXT,
    occurred_at INTEGER NOT NULL,
    PRIMARY KEY (partner_id, user_id, version),
    FOREIGN KEY (partner_id, user_id) REFERENCES users (partner_id, user_id),
    CONSTRAINT audit_entries_first_is_registration CHECK ((version = 1) = (action = 'user.registered'))
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_entries_newest ON audit_entries (partner_id, occurred_at, version, entry_id);

-- Most entries are registrations, so a trail of anything else would be a long walk past them; and a registration,
-- the write that has to be fast, does not pay for this index.
CREATE INDEX audit_entries_newest_by_action ON audit_entries (partner_id, action, occurred_at, version, entry_id)
    WHERE action <> 'user.registered';

CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'audit entries can be neither updated nor deleted');
END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'audit entries can be neither updated nor deleted');
END;
-- INSERT OR REPLACE deletes what is in its way without asking the trigger for deletes.
CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
WHEN EXISTS (
    SELECT 1 FROM audit_entries
    WHERE partner_id = NEW.partner_id AND user_id = NEW.user_id AND version = NEW.version
)
BEGIN
    SELECT RAISE(ABORT, 'audit entries can be neither updated nor deleted');
END;

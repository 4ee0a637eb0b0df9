CREATE TABLE api_keys (
    partner_id  BLOB    NOT NULL REFERENCES partners (partner_id),
    key_id      TEXT    NOT NULL CHECK (length(key_id) = 16 AND key_id NOT GLOB '*[^0-9A-Za-z]*'),
    name        TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    mode        TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    scope       TEXT    NOT NULL CHECK (scope IN ('read_only', 'read_write')),
    secret_hash TEXT    NOT NULL CHECK (secret_hash GLOB '$argon2id$*'),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER,
    PRIMARY KEY (partner_id, key_id)
) STRICT, WITHOUT ROWID;

-- A request brings the key id and not the partner. The index is not unique: every unique constraint leads with
-- partner_id, and 95 random bits do not collide.
CREATE INDEX api_keys_by_key_id ON api_keys (key_id);

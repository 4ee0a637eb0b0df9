CREATE TABLE api_keys (
    partner_id  uuid           NOT NULL REFERENCES partners (partner_id),
    key_id      text           NOT NULL COLLATE "C" CHECK (key_id ~ '^[0-9A-Za-z]{16}$'),
    name        text           NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    mode        text           NOT NULL CHECK (mode IN ('live', 'test')),
    scope       text           NOT NULL CHECK (scope IN ('read_only', 'read_write')),
    secret_hash text           NOT NULL CHECK (secret_hash LIKE '$argon2id$%'),
    created_at  timestamptz(3) NOT NULL,
    expires_at  timestamptz(3),
    revoked_at  timestamptz(3),
    PRIMARY KEY (partner_id, key_id),
    CONSTRAINT api_keys_instants_finite
        CHECK (isfinite(created_at) AND isfinite(expires_at) AND isfinite(revoked_at))
);

-- A request brings the key id and not the partner. The index is not unique: every unique constraint leads with
-- partner_id, and 95 random bits do not collide.
CREATE INDEX api_keys_by_key_id ON api_keys (key_id);

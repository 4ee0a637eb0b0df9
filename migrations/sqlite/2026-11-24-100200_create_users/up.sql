-- The length of metadata is that of its canonical JSON text, which the domain makes and limits.
CREATE TABLE users (
    partner_id    BLOB    NOT NULL REFERENCES partners (partner_id),
    user_id       BLOB    NOT NULL CHECK (length(user_id) = 16),
    ordinal       INTEGER NOT NULL CHECK (ordinal >= 1),
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    email         TEXT    NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_key     TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('active', 'inactive', 'suspended')),
    metadata      TEXT    NOT NULL CHECK (octet_length(metadata) <= 16384 AND metadata GLOB '{*}'),
    registered_at INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    removed_at    INTEGER,
    version       INTEGER NOT NULL CHECK (version >= 1),
    PRIMARY KEY (partner_id, user_id),
    CONSTRAINT users_email_key_unique UNIQUE (partner_id, email_key),
    CONSTRAINT users_ordinal_unique UNIQUE (partner_id, ordinal),
    CONSTRAINT users_removed_implies_inactive CHECK (removed_at IS NULL OR status = 'inactive'),
    CONSTRAINT users_updated_after_registered CHECK (updated_at >= registered_at)
) STRICT, WITHOUT ROWID;

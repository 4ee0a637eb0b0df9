-- The length of metadata is that of its canonical JSON text, which the domain makes and limits.
CREATE TABLE users (
    partner_id    uuid           NOT NULL REFERENCES partners (partner_id),
    user_id       uuid           NOT NULL,
    ordinal       bigint         NOT NULL CHECK (ordinal >= 1),
    name          text           NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    email         text           NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_key     text           NOT NULL COLLATE "C",
    status        text           NOT NULL CHECK (status IN ('active', 'inactive', 'suspended')),
    metadata      text           NOT NULL CHECK (octet_length(metadata) <= 16384 AND metadata LIKE '{%}'),
    registered_at timestamptz(3) NOT NULL,
    updated_at    timestamptz(3) NOT NULL,
    removed_at    timestamptz(3),
    version       bigint         NOT NULL CHECK (version >= 1),
    PRIMARY KEY (partner_id, user_id),
    CONSTRAINT users_email_key_unique UNIQUE (partner_id, email_key),
    CONSTRAINT users_ordinal_unique UNIQUE (partner_id, ordinal),
    CONSTRAINT users_removed_implies_inactive CHECK (removed_at IS NULL OR status = 'inactive'),
    CONSTRAINT users_updated_after_registered CHECK (updated_at >= registered_at),
    CONSTRAINT users_instants_finite
        CHECK (isfinite(registered_at) AND isfinite(updated_at) AND isfinite(removed_at))
) WITH (fillfactor = 90);

-- Times are milliseconds since 1970-01-01T00:00:00Z, ids the 16 bytes of a UUID.
-- user_count numbers the partner's users in the order in which they were registered: it is the last ordinal given out
-- and, since users are never deleted, their total. A page is a range of ordinals, and a total needs no count(*).
CREATE TABLE partners (
    partner_id  BLOB    NOT NULL CHECK (length(partner_id) = 16),
    name        TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER,
    user_count  INTEGER NOT NULL DEFAULT 0 CHECK (user_count >= 0),
    PRIMARY KEY (partner_id)
) STRICT, WITHOUT ROWID;

-- user_count numbers the partner's users in the order in which they were registered: it is the last ordinal given out
-- and, since users are never deleted, their total. Whoever registers holds the row until commit, so the numbers have
-- no gaps and become visible in their own order: a page is a range of ordinals, and a total needs no count(*).
CREATE TABLE partners (
    partner_id  uuid           NOT NULL,
    name        text           NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at  timestamptz(3) NOT NULL,
    disabled_at timestamptz(3),
    user_count  bigint         NOT NULL DEFAULT 0 CHECK (user_count >= 0),
    PRIMARY KEY (partner_id),
    CONSTRAINT partners_instants_finite CHECK (isfinite(created_at) AND isfinite(disabled_at))
) WITH (fillfactor = 50);

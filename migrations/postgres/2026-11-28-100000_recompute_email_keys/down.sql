-- The keys stay: an older version reads them, and computes its own for what it writes.
COMMENT ON COLUMN users.email_key IS NULL;

-- The keys themselves are recomputed in Rust, in this transaction: see email_keys.rs in signet-postgres.
COMMENT ON COLUMN users.email_key IS 'folded local part, @ and ASCII domain; of a collision, a space and the user id behind';

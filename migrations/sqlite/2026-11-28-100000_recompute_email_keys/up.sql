-- The keys themselves are recomputed in Rust, in this transaction: see email_keys.rs in signet-sqlite.
SELECT 1;

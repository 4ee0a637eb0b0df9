//! A private, throw-away PostgreSQL for tests

//! The Diesel adapter for PostgreSQL

//! The Diesel adapter for embedded SQLite

//! The `SQLite` adapter on real files.

mod batches;
mod contract;
mod corruption;
mod email_keys;
mod files;
mod keyed;
mod locks;
mod migrations;
mod schema;
mod support;

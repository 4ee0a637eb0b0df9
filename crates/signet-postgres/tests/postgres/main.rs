//! The adapter against a Postgres of the tests' own.

mod batches;
mod contract;
mod corrupt;
mod email_keys;
mod isolation;
mod keyed;
mod locks;
mod migrations;
mod own_server;
mod races;
mod role;
mod schema;
mod support;
mod wire;

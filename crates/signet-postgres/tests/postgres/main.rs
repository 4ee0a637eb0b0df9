//! The adapter against a Postgres of the tests' own.

mod batches;
mod connections;
mod contract;
mod corrupt;
mod outages;
mod races;
mod schema;
mod statements;
mod support;

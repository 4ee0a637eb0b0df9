//! The adapter against a Postgres of the tests' own.

mod contract;
mod support;

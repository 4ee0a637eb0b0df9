//! A private, throw-away Postgres for tests: started from installed binaries, gone with the process that started it.
//!
//! ```no_run
//! let database = signet_testkit::TestDatabase::create();
//! println!("{}", database.url());
//! ```
//!
//! A test that needs Postgres never skips itself: where there is none, it panics with one line that says what to do.
//! With `TEST_DATABASE_URL` the databases are made on that server instead; it needs the right to create them. Tests that
//! stop, kill, freeze or configure a server cannot use that one. They are in modules called `own_server`, so that where
//! there are no programs to start one with, they can be left out by name: `cargo test -- --skip own_server`.
//!
//! `TEST_POSTGRES_BIN` names the folder of `initdb` and `postgres` where they are not to be searched for.
#![deny(missing_docs)]

mod binaries;
mod certificates;
mod database;
mod fixtures;
mod keyed;
mod lines;
mod server;
mod statements;
mod supervisor;

pub use binaries::tool;
pub use certificates::{CertificateAuthority, Identity};
pub use database::TestDatabase;
pub use fixtures::Fixture;
pub use keyed::unkeyed;
pub use lines::Lines;
pub use server::{PostgresServer, ServerOptions, free_port};
pub use statements::{Statements, Watch};

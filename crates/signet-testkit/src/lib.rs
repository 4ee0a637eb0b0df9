//! A private, throw-away Postgres for tests: started from installed binaries, gone with the process that started it.
//!
//! ```no_run
//! let database = signet_testkit::TestDatabase::create();
//! println!("{}", database.url());
//! ```
//!
//! A test that needs Postgres never skips itself: where there is none, it panics with one line that says what to do.
//! With `TEST_DATABASE_URL` the databases are made on that server instead; it needs the right to create them.
#![deny(missing_docs)]

mod binaries;
mod certificates;
mod database;
mod lines;
mod server;
mod supervisor;

pub use certificates::{CertificateAuthority, Identity};
pub use database::TestDatabase;
pub use lines::Lines;
pub use server::{PostgresServer, ServerOptions};

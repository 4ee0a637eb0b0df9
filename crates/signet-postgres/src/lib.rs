//! The ports of `signet-domain` on Postgres 14 or later, through Diesel and r2d2.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use signet_postgres::{PostgresOptions, PostgresStore};
//!
//! let store = PostgresStore::connect("postgres://signet@db.internal/signet", PostgresOptions::default())?;
//! store.migrate().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - **Threads.** All work is done by a few threads with a connection each; what waits and for how long is bounded.
//! - **Outages.** A store can be made while the database is away, answers `Unavailable` while it stays away and works
//!   again once it is back. A connection that broke takes all idle ones with it, since they are as dead, and what it
//!   was doing is done again once: writes recognise what their first attempt achieved by the id of its audit entry.
//!   Threads that a frozen server holds are left behind, and others go to whichever server takes writes by then.
//! - **Round trips.** Finding a user, registering one and replacing one are one statement each, prepared once per
//!   connection, hence one round trip and one transaction. They take arrays: whatever waits while the threads are busy
//!   is answered by one statement, with an answer for each.
#![deny(missing_docs)]

mod api_keys;
mod audit;
mod email_keys;
mod errors;
mod exposure;
mod isolation;
mod migrations;
mod partners;
mod pool;
mod rows;
mod schema;
mod statement;
mod store;
mod url;
mod users;
mod workers;

pub use exposure::is_exposed;
pub use pool::PoolState;
pub use store::{ConnectError, PostgresOptions, PostgresStore};
pub use url::{InvalidUrl, check_url};

// Nothing calls OpenSSL from here: the dependency makes the libpq that is compiled in use an OpenSSL that is, too.
use openssl_sys as _;
use pq_sys as _;

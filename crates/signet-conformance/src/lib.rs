//! The port contract as a test suite, an in-memory adapter, builders and fakes. For tests only.
//!
//! # Proving an adapter
//!
//! [`suite!`] makes one `#[test]` of each promise that [`signet_domain::ports`] makes. It takes whatever can be called
//! without arguments and gives a future of an [`Adapter`]: a fresh one for each test, or always the same database,
//! since every test works with partners of its own. That database must be empty when the run starts.
//!
//! ```
//! use signet_conformance::{Adapter, InMemoryStore};
//!
//! async fn adapter() -> Adapter {
//!     let database = std::sync::Arc::new(()); // say, a temporary directory that is deleted on drop
//!     Adapter::new(InMemoryStore::default()).keeping(database)
//! }
//!
//! signet_conformance::suite!(adapter);
//! # fn main() {}
//! ```
//!
//! Ports that are types of their own make an adapter with [`Adapter::from_ports`]. Give it a second one on the same
//! database with [`Adapter::with_peer`]: what holds within one process may not hold between two.
//!
//! A test runs on a tokio runtime of its own, with timers, I/O and two threads.
//!
//! # Testing what uses the ports
//!
//! [`InMemoryStore`] keeps the same contract without a database. [`ManualClock`], [`SequentialIds`] and [`PlainHasher`]
//! stand in for the other ports, and [`Builder`] makes valid values:
//!
//! ```
//! use signet_conformance::{Builder, InMemoryStore};
//! use signet_domain::ports::{PartnerRepository, UserRepository};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (store, build) = (InMemoryStore::default(), Builder::new(1));
//! let partner = build.partner();
//! PartnerRepository::insert(&store, partner.clone()).await?;
//! let john = store.commit(build.registration(partner.id, "john@example.com")).await?;
//! assert_eq!(UserRepository::find(&store, partner.id, john.id).await?, Some(john));
//! # Ok(()) }
//! ```
#![deny(missing_docs)]

pub mod behaviours;
mod builder;
mod fakes;
mod history;
mod in_memory;
mod model;
mod scene;
mod suite;

pub use builder::{Builder, email, instant, metadata, name};
pub use fakes::{ManualClock, PlainHasher, SequentialIds};
pub use in_memory::InMemoryStore;
pub use scene::{Adapter, Scene, run};

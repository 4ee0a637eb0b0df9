//! Breaks the service on purpose, on a schedule from a seed, and compares what it keeps with what it promises.
//!
//! A scenario (`faults/`, one a file) starts the real program with [`Service`], on a `PostgreSQL` of
//! [`signet_testkit`], perhaps with a [`Proxy`] between them, or on a `SQLite` file; drives it with [`Client`]s; breaks
//! something; and tells what it found in [`Findings`]. [`faults::ALL`] lists them.
//!
//! [`Writers`] make changes and insist on each until it is settled, and a [`Ledger`] keeps what was acknowledged and
//! compares it with the database at the end.
#![deny(missing_docs)]

mod balancer;
mod certificates;
mod client;
mod disk;
pub mod faults;
mod ledger;
mod load;
mod measure;
mod open_loop;
mod proxy;
mod report;
mod run;
mod service;
mod stores;
mod tool;
mod trend;
mod writers;

pub use client::{Client, Endpoint, NoReply, Reply};
pub use ledger::{Comparison, Expected, Ledger, Traffic};
pub use load::{Load, Outcome, Sample, Window};
pub use measure::Times;
pub use proxy::{Cut, Direction, Proxy};
pub use report::{Findings, Report};
pub use run::{Run, Scale, Scenario};
pub use service::{Partner, Service, Usage};
pub use stores::Stores;
pub use writers::Writers;

//! The in-memory adapter keeps the contract of the ports.

use signet_conformance::{Adapter, InMemoryStore};

signet_conformance::suite!(|| async { Adapter::new(InMemoryStore::default()) });

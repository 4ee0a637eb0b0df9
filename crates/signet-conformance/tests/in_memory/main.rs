//! The in-memory adapter keeps the contract of the ports, and the suite finds out who does not.

use signet_conformance::{Adapter, InMemoryStore};

mod torn;

signet_conformance::suite!(|| async {
    let store = InMemoryStore::default();
    Adapter::new(store.clone()).with_peer(Adapter::new(store))
});

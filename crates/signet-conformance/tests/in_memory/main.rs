//! The in-memory adapter keeps the contract of the ports, and the suite finds out who does not.

use signet_conformance::{Adapter, InMemoryStore, behaviours, run};

mod loose;
mod torn;

async fn adapter() -> Adapter {
    let store = InMemoryStore::default();
    Adapter::new(store.clone()).with_peer(Adapter::new(store))
}

signet_conformance::suite!(adapter);

#[test]
fn a_batch_is_invisible() {
    run("batches", adapter, behaviours::batches::what_is_asked_together_is_answered_as_one_by_one);
}

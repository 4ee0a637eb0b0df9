use signet_conformance::{Adapter, behaviours, run};
use signet_sqlite::SqliteOptions;

use crate::support::File;

async fn adapter() -> Adapter {
    let (store, file) = File::migrated().await;
    let peer = Adapter::new(file.open(SqliteOptions::default()));
    Adapter::new(store).with_peer(peer).keeping(file)
}

signet_conformance::suite!(adapter);

#[test]
fn a_batch_is_invisible() {
    run("batches", adapter, behaviours::batches::what_is_asked_together_is_answered_as_one_by_one);
}

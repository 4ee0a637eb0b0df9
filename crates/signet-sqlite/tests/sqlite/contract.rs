use signet_conformance::Adapter;
use signet_sqlite::SqliteOptions;

use crate::support::File;

async fn adapter() -> Adapter {
    let (store, file) = File::migrated().await;
    let peer = Adapter::new(file.open(SqliteOptions::default()));
    Adapter::new(store).with_peer(peer).keeping(file)
}

signet_conformance::suite!(adapter);

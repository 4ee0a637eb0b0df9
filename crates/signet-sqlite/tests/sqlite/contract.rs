use signet_conformance::Adapter;

use crate::support::File;

async fn adapter() -> Adapter {
    let (store, file) = File::migrated().await;
    Adapter::new(store).keeping(file)
}

signet_conformance::suite!(adapter);

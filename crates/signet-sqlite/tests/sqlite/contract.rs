use signet_conformance::Adapter;

async fn adapter() -> Adapter {
    let (store, directory) = crate::store().await;
    Adapter::new(store).keeping(directory)
}

signet_conformance::suite!(adapter);

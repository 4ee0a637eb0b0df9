//! The `SQLite` adapter on real files.

mod contract;

use signet_sqlite::{SqliteOptions, SqliteStore};

/// A fresh store in a directory of its own, migrated.
async fn store() -> (SqliteStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("signet.db");
    let store = SqliteStore::open(path.to_str().expect("UTF-8"), SqliteOptions::default()).expect("opens");
    store.migrate().await.expect("migrates");
    (store, directory)
}

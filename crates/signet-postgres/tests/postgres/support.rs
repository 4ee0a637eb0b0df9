//! A database with the schema, and a store on it.

use signet_conformance::Adapter;
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::TestDatabase;

pub struct Database {
    pub store: PostgresStore,
    pub sql: TestDatabase,
}

impl Database {
    pub async fn migrated() -> Self {
        Self::with(TestDatabase::create(), PostgresOptions::default()).await
    }

    pub async fn with(sql: TestDatabase, options: PostgresOptions) -> Self {
        let store = PostgresStore::connect(sql.url(), options).expect("a URL");
        store.migrate().await.expect("an empty database");
        Self { store, sql }
    }

    pub fn adapter(self) -> Adapter {
        Adapter::new(self.store).keeping(self.sql)
    }
}

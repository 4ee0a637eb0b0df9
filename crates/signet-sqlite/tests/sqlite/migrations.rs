//! Migrations, also by several processes at once.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use signet_domain::ports::{PartnerRepository, StoreError};
use signet_sqlite::SqliteOptions;

use crate::support::{File, lines};

fn known() -> Vec<String> {
    let directory = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite"));
    let entries = directory.expect("a directory").map(|entry| entry.expect("readable").file_name());
    let mut versions: Vec<_> = entries.map(|name| name.to_str().expect("UTF-8")[..17].replace('-', "")).collect();
    versions.sort();
    versions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_start_at_once_apply_each_migration_once() {
    for _ in 0..5 {
        let file = Arc::new(File::new());
        let starting: Vec<_> = (0..8)
            .map(|_| {
                let file = Arc::clone(&file);
                tokio::task::spawn_blocking(move || file.open(SqliteOptions::default()))
            })
            .collect();
        let mut migrating = Vec::new();
        for store in starting {
            let store = store.await.expect("each opens the new file");
            migrating.push(tokio::spawn(async move { store.migrate().await }));
        }
        let mut applied = 0;
        for migrated in migrating {
            applied += migrated.await.expect("no panic").expect("migrated").applied;
        }
        assert_eq!(applied, known().len());
    }
}

#[tokio::test]
async fn a_store_is_ready_once_nothing_is_pending() {
    let file = File::new();
    let store = file.open(SqliteOptions::default());
    let pending = Err(StoreError::Unavailable { reason: "migrations are pending".to_owned() });
    assert_eq!(store.ready().await, pending, "not even a table of migrations");
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(known().len()));
    assert_eq!(store.ready().await, Ok(()));
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(0));

    let newest = "(SELECT max(version) FROM __diesel_schema_migrations)";
    let forget = format!("DELETE FROM __diesel_schema_migrations WHERE version = {newest}");
    file.connect().batch_execute(&forget).expect("forgotten");
    assert_eq!(store.ready().await, pending);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let file = File::new();
    let store = file.open(SqliteOptions::default());
    file.connect().batch_execute("CREATE TABLE audit_entries (a TEXT)").expect("in the way");
    let reason = "table audit_entries already exists";
    let failed = store.migrate().await.expect_err("the last one fails");
    assert!(failed.to_string().contains(reason), "{failed}");
    let tables = "SELECT name AS line FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    assert_eq!(lines(&mut file.connect(), tables), ["audit_entries"]);
    file.connect().batch_execute("DROP TABLE audit_entries").expect("out of the way");
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(known().len()), "and the connection is still good");
    assert_eq!(PartnerRepository::list(&store).await, Ok(Vec::new()));
}

#[tokio::test]
async fn every_migration_can_be_taken_back() {
    let (store, file) = File::migrated().await;
    drop(store);
    let mut connection = file.connect();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("readable").path().join("down.sql"))
        .collect();
    names.sort();
    for down in names.into_iter().rev() {
        connection.batch_execute(&std::fs::read_to_string(down).expect("readable")).expect("taken back");
    }
    let rest = "SELECT name AS line FROM sqlite_schema WHERE name NOT LIKE '%diesel%'";
    assert_eq!(lines(&mut connection, rest), [""; 0]);
}

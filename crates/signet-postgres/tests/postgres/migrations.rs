//! Migrations, also by several instances at once, and those that fail.

use signet_domain::ports::StoreError;
use signet_postgres::PostgresStore;
use signet_testkit::TestDatabase;

use crate::support::{Database, ample, is_unavailable, serializable, session};

const TABLES: &str = "SELECT string_agg(relname, ' ') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')";

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_down_and_up_again() {
    let database = Database::migrated().await;
    assert_eq!(database.store.migrate().await.map(|it| it.applied), Ok(0));
    database.store.ready().await.expect("migrated");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("migrations").map(|entry| entry.expect("one").path()).collect();
    names.sort();
    for name in names.iter().rev() {
        database.sql.execute(&std::fs::read_to_string(name.join("down.sql")).expect("down.sql"));
    }
    assert_eq!(database.sql.query(TABLES), "__diesel_schema_migrations");
    assert_eq!(database.sql.query("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), "0");
    database.sql.execute("TRUNCATE __diesel_schema_migrations");
    let refused = database.store.ready().await.expect_err("nothing is applied");
    assert!(refused.to_string().contains("lacks"), "{refused}");
    assert_eq!(database.store.migrate().await.map(|it| it.applied), Ok(names.len()));
    database.store.ready().await.expect("migrated");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_migrate_at_once_do_it_once() {
    // Whatever isolation the database gives its sessions.
    for empty in [TestDatabase::create(), serializable()] {
        let stores: Vec<_> = (0..8).map(|_| PostgresStore::connect(empty.url(), ample()).expect("a URL")).collect();
        let refused = stores[0].ready().await.expect_err("no schema");
        assert!(is_unavailable(&refused) && refused.to_string().contains("lacks 5 migrations"), "{refused}");
        let runs: Vec<_> = stores.into_iter().map(|store| tokio::spawn(async move { store.migrate().await })).collect();
        let mut applied = Vec::new();
        for run in runs {
            applied.push(run.await.expect("joins").expect("migrated").applied);
        }
        applied.sort_unstable();
        assert_eq!(applied, [0, 0, 0, 0, 0, 0, 0, 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_leaves_nothing_behind_and_tells_why() {
    let sql = TestDatabase::create();
    let store = PostgresStore::connect(sql.url(), ample()).expect("a URL");
    sql.execute("CREATE TABLE audit_entries (a int)");
    let failed = store.migrate().await.expect_err("the last one fails");
    let reason = "the migration 2026-11-24-100300_create_audit_entries failed: relation \"…\" already exists";
    assert_eq!(failed, StoreError::Unexpected { reason: reason.to_owned() });
    assert_eq!(sql.query(TABLES), "audit_entries");
    sql.execute("DROP TABLE audit_entries");
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_loses_its_connection_can_be_tried_again() {
    let sql = TestDatabase::create();
    let store = PostgresStore::connect(sql.url(), ample()).expect("a URL");
    let mut session = session(&sql);
    session.execute("BEGIN; CREATE TABLE partners (a int)");
    let migrating = store.clone();
    let migrating = tokio::spawn(async move { migrating.migrate().await });
    // It wants to create a table of the same name.
    session.wait_for_waiters(1);
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    let lost = migrating.await.expect("joins").expect_err("the connection is lost");
    assert!(is_unavailable(&lost) && lost.to_string().contains("connection was lost"), "{lost}");
    session.execute("ROLLBACK");
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(5));
}

//! What another role than the owner of the database may do.

use signet_domain::ports::PartnerRepository;
use signet_postgres::PostgresStore;

use crate::support::{Database, ample, private};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_create_nothing_can_serve_a_complete_schema() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    let name = database.sql.name();
    database.sql.execute(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         CREATE ROLE clerk LOGIN;
         GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk",
    );
    let url = format!("postgres://clerk@127.0.0.1:{}/{name}", server.port());
    let store = PostgresStore::connect(&url, ample()).expect("a URL");
    assert_eq!(store.migrate().await, Ok(0));
    store.ready().await.expect("ready");
    PartnerRepository::insert(&store, database.build.partner()).await.expect("inserted");

    database.sql.execute("DELETE FROM __diesel_schema_migrations");
    let refused = store.migrate().await.expect_err("it would have to create").to_string();
    assert!(refused.contains("permission denied"), "{refused}");
}

/// Nor does a session that plays the part of replication touch the trail.
#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_guarded_against_replicas_too() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    let partner = database.partner().await;
    database.user(partner, "john@example.com").await;
    let mut session = database.session();
    session.execute("SET session_replication_role = replica");
    for change in ["UPDATE audit_entries SET action = action", "DELETE FROM audit_entries", "TRUNCATE audit_entries"] {
        let refusal = session.refusal(change);
        assert!(refusal.contains("neither updated nor deleted"), "{change}: {refusal}");
    }
}

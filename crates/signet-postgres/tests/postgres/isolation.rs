//! The keys of the statements are off: what they find is of any partner, and the store compares it and refuses.

use signet_domain::{
    PartnerId,
    ports::{ApiKeyRepository, AuditFilter, AuditTrail, CommitError, Page, StoreError, UserRepository},
};
use signet_postgres::PostgresStore;

use crate::support::{Database, ample};

/// For whoever finds this operator before that of the server, all ids are equal.
const ALL_IDS_ARE_EQUAL: &str = "CREATE SCHEMA careless;
    CREATE FUNCTION careless.equal(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE OPERATOR careless.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = careless.equal)";

/// Another store on that database, for whose statements all ids are equal.
fn careless(database: &Database) -> PostgresStore {
    // Those that are made later would find the operator, too.
    database.wait_until_idle();
    database.sql.execute(ALL_IDS_ARE_EQUAL);
    let name = database.sql.name();
    database.sql.execute(&format!("ALTER DATABASE {name} SET search_path = careless, pg_catalog, public"));
    PostgresStore::connect(&database.url, ample()).expect("a URL")
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, tables: &[&str], theirs: PartnerId) {
    match answer {
        Err(StoreError::Corrupt { table, column: "partner_id", key }) => {
            assert!(tables.contains(&table) && key.starts_with(&theirs.to_string()), "{table} {key}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_finds_of_another_partner_is_refused() {
    let database = Database::migrated().await;
    // Theirs are older, so that they are found first.
    let (theirs, ours) = (database.partner().await, database.partner().await);
    let john = database.user(theirs, "john@example.com").await;
    database.user(theirs, "taken@example.com").await;
    let jane = database.user(ours, "jane@example.com").await;
    database.user(ours, "taken@example.com").await;
    ApiKeyRepository::insert(&database.store, database.build.api_key(theirs)).await.expect("inserted");
    let before = [database.list(theirs).await, database.list(ours).await];
    let store = careless(&database);

    assert_refused(UserRepository::find(&store, ours, jane.id).await, &["users"], theirs);
    let list = |offset| UserRepository::list(&store, ours, Page::new(100, offset).expect("a page"));
    assert_refused(list(0).await, &["users", "partners"], theirs);
    // Past the end, all that there is to tell is a total.
    assert_refused(list(1000).await, &["partners"], theirs);
    for user_id in [None, Some(john.id)] {
        let filter = AuditFilter { user_id, action: None };
        assert_refused(store.entries(ours, filter, None, 100).await, &["audit_entries"], theirs);
    }
    assert_refused(ApiKeyRepository::list(&store, ours).await, &["api_keys"], theirs);
    for change in
        [database.build.registration(ours, "john@example.com"), database.build.readdressing(&jane, "taken@example.com")]
    {
        match store.commit(change).await {
            Err(CommitError::Store(error)) => assert_refused::<()>(Err(error), &["users"], theirs),
            other => panic!("it tells whose the address is: {other:?}"),
        }
    }
    assert_eq!([database.list(theirs).await, database.list(ours).await], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_names_no_user_of_another_partner() {
    let database = Database::migrated().await;
    let (theirs, ours) = (database.partner().await, database.partner().await);
    database.user(theirs, "john@example.com").await;
    let refusal = database.session().refusal(&format!(
        "INSERT INTO audit_entries SELECT '{ours}', user_id, version, entry_id, action, actor_type, actor_id, actor_name,
            changes, request_id, ip_address, occurred_at FROM audit_entries"
    ));
    assert!(refusal.contains("audit_entries_partner_id_user_id_fkey"), "{refusal}");
}

//! A row that breaks an invariant is told apart, by table, column and ids, and never by its values.

use diesel::connection::SimpleConnection;
use signet_domain::ports::{
    ApiKeyRepository, AuditFilter, AuditTrail, KeyLookup, Page, PartnerRepository, StoreError, UserRepository,
};

use crate::support::{File, blob};

/// What can only be written by somebody who turns the constraints off.
const UNCHECKED: &str = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;
    DROP TRIGGER audit_entries_no_update; DROP TRIGGER audit_entries_no_delete; DROP TRIGGER audit_entries_no_replace;";

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(answer: Result<T, StoreError>, table: &str, column: &str, key: &str) {
    match answer {
        Err(StoreError::Corrupt { table: t, column: c, key: k }) => {
            assert_eq!((t, c, k.as_str()), (table, column, key));
        }
        other => panic!("{column}: {other:?}"),
    }
}

#[tokio::test]
async fn a_corrupt_user_is_named() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let mut other = file.connect();
    other.batch_execute(UNCHECKED).expect("unchecked");
    for (column, value) in [
        ("name", "CAST(x'6a616e65ff' AS TEXT)"), // no UTF-8
        ("email", "CAST(x'6a616e65ff40622e636f' AS TEXT)"),
        ("status", "'jane'"),
        ("metadata", "'jane'"),
        ("metadata", "CAST(x'7b226a616e65223a22ff227d' AS TEXT)"),
        ("registered_at", "9223372036854775807"),
        ("updated_at", "-9223372036854775808"),
        ("removed_at", "9223372036854775807"),
        ("version", "0"),
    ] {
        other.batch_execute(&format!("UPDATE users SET {column} = {value}")).expect("corrupted");
        let key = format!("{partner_id}/{}", john.id);
        let found = UserRepository::find(&store, partner_id, john.id).await;
        assert!(!format!("{found:?}").contains("jane"), "{found:?}");
        assert_corrupt(found, "users", column, &key);
        let page = Page::new(10, 0).expect("a page");
        assert_corrupt(UserRepository::list(&store, partner_id, page).await, "users", column, &key);
        other
            .batch_execute(&format!(
                "UPDATE users SET name = 'John Doe', email = 'john@example.com', status = 'active', metadata = '{{}}',
                 registered_at = {0}, updated_at = {0}, removed_at = NULL, version = 1",
                john.registered_at.unix_millis()
            ))
            .expect("mended");
        assert_eq!(UserRepository::find(&store, partner_id, john.id).await, Ok(Some(john.clone())));
    }
    let key = format!("{partner_id}/{}", john.id);
    for (column, update) in [
        ("removed_at", "removed_at = updated_at"), // but active
        ("updated_at", "removed_at = NULL, updated_at = registered_at - 1"),
    ] {
        other.batch_execute(&format!("UPDATE users SET {update}")).expect("corrupted");
        assert_corrupt(UserRepository::find(&store, partner_id, john.id).await, "users", column, &key);
    }
}

#[tokio::test]
async fn a_corrupt_entry_is_named() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let mut other = file.connect();
    other.batch_execute(UNCHECKED).expect("unchecked");
    other.batch_execute("CREATE TEMP TABLE kept AS SELECT * FROM audit_entries").expect("kept");
    for (column, value) in [
        ("entry_id", "x'00'"),
        ("action", "'jane'"),
        ("actor_type", "'jane'"),
        ("actor_id", "'jane'"),
        ("actor_name", "CAST(x'6a616e65ff' AS TEXT)"),
        ("changes", "'{\"jane\": 1}'"),
        ("request_id", "'jane doe'"),
        ("ip_address", "'jane'"),
        ("occurred_at", "9223372036854775807"),
    ] {
        other.batch_execute(&format!("UPDATE audit_entries SET {column} = {value}")).expect("corrupted");
        let entries = store.entries(partner_id, AuditFilter::default(), None, 10).await;
        assert!(!format!("{entries:?}").contains("jane"), "{entries:?}");
        assert_corrupt(entries, "audit_entries", column, &format!("{partner_id}/{}/1", john.id));
        let mend = "DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept";
        other.batch_execute(mend).expect("mended");
    }
}

#[tokio::test]
async fn a_corrupt_partner_or_key_is_named() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let key = build.api_key(partner_id);
    ApiKeyRepository::insert(&store, key.clone()).await.expect("inserted");
    let mut other = file.connect();
    other.batch_execute(UNCHECKED).expect("unchecked");
    for (column, value) in [
        ("mode", "'jane'"),
        ("scope", "'jane'"),
        ("name", "CAST(x'6a616e65ff' AS TEXT)"),
        ("secret_hash", "'jane'"),
        ("created_at", "1 << 62"),
    ] {
        other.batch_execute(&format!("UPDATE api_keys SET {column} = {value}")).expect("corrupted");
        let place = format!("{partner_id}/{}", key.id);
        assert_corrupt(
            ApiKeyRepository::find(&store, key.id.clone(), KeyLookup::FirstUse).await,
            "api_keys",
            column,
            &place,
        );
        assert_corrupt(ApiKeyRepository::list(&store, partner_id).await, "api_keys", column, &place);
        let millis = key.created_at.unix_millis();
        let hash = key.secret_hash.as_str();
        let mend = format!(
            "SET mode = 'live', scope = 'read_write', name = 'Backend', secret_hash = '{hash}', created_at = {millis}"
        );
        other.batch_execute(&format!("UPDATE api_keys {mend}")).expect("mended");
    }
    let id = blob(partner_id.uuid());
    other.batch_execute(&format!("UPDATE partners SET user_count = -1 WHERE partner_id = {id}")).expect("corrupted");
    let page = UserRepository::list(&store, partner_id, Page::new(10, 0).expect("a page")).await;
    assert_corrupt(page, "partners", "user_count", &partner_id.to_string());
    other
        .batch_execute(&format!("UPDATE partners SET name = CAST(x'6a616e65ff' AS TEXT) WHERE partner_id = {id}"))
        .expect("corrupted");
    assert_corrupt(PartnerRepository::list(&store).await, "partners", "name", &partner_id.to_string());
}

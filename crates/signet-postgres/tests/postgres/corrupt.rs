//! Rows that break an invariant of the domain are told by their column and key, and never by their value.

use signet_domain::ports::{ApiKeyRepository, AuditFilter, AuditTrail, KeyLookup, StoreError, UserRepository};

use crate::{batches::settle, support::Database};

const WITHOUT_CONSTRAINTS: &str = "DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$;
    ALTER TABLE audit_entries DISABLE TRIGGER USER";

fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> (&'static str, &'static str, String) {
    match answer {
        Err(StoreError::Corrupt { table, column, key }) => (table, column, key),
        other => panic!("not corrupt: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_row_is_told_by_column_and_key() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    let key = database.build.api_key(partner);
    assert!(ApiKeyRepository::insert(&database.store, key.clone()).await.expect("a partner"));
    database.sql.execute(WITHOUT_CONSTRAINTS);

    let name = format!("{partner}/{}", user.id);
    for (column, value) in [
        ("status", "'gone'"),
        ("metadata", "'[]'"),
        ("updated_at", "'0001-01-01T00:00:00Z'::timestamptz - interval '1 day'"),
        ("version", "0"),
    ] {
        let before = database.sql.query(&format!("SELECT quote_literal({column}::text) FROM users"));
        database.sql.execute(&format!("UPDATE users SET {column} = {value}"));
        let found = told(database.find(partner, user.id).await);
        assert_eq!(found, ("users", column, name.clone()));
        assert_eq!(told(database.list(partner).await), found);
        database.sql.execute(&format!("UPDATE users SET {column} = {before}"));
    }
    database.sql.execute("UPDATE users SET updated_at = registered_at - interval '1 second'");
    assert_eq!(told(database.find(partner, user.id).await), ("users", "updated_at", name.clone()));
    database.sql.execute("UPDATE users SET updated_at = registered_at, removed_at = now()");
    assert_eq!(told(database.find(partner, user.id).await), ("users", "removed_at", name.clone()));

    database.sql.execute("UPDATE partners SET user_count = -1");
    assert_eq!(told(database.list(partner).await), ("partners", "user_count", partner.to_string()));

    let name = format!("{name}/1");
    for (column, value) in [
        ("action", "'user.lost'"),
        ("actor_type", "'ghost'"),
        ("actor_id", "'x'"),
        ("changes", "'{'"),
        ("request_id", "' '"),
        ("ip_address", "'1.2.3'"),
    ] {
        let before = database.sql.query(&format!("SELECT quote_literal({column}::text) FROM audit_entries"));
        database.sql.execute(&format!("UPDATE audit_entries SET {column} = {value}"));
        let found = told(database.store.entries(partner, AuditFilter::default(), None, 1).await);
        assert_eq!(found, ("audit_entries", column, name.clone()));
        database.sql.execute(&format!("UPDATE audit_entries SET {column} = {before}"));
    }

    for (column, value) in [("mode", "'dead'"), ("scope", "''"), ("secret_hash", "'nonsense'")] {
        let before = database.sql.query(&format!("SELECT quote_literal({column}) FROM api_keys"));
        database.sql.execute(&format!("UPDATE api_keys SET {column} = {value}"));
        let found = told(ApiKeyRepository::find(&database.store, key.id.clone(), KeyLookup::FirstUse).await);
        assert_eq!(found, ("api_keys", column, format!("{partner}/{}", key.id)));
        database.sql.execute(&format!("UPDATE api_keys SET {column} = {before}"));
    }
}

/// A batch of look-ups is as good as its members: one row that cannot even be read fails nobody else's.
#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_own_reader_alone() {
    let database = Database::single().await;
    let (one, two) = (database.partner().await, database.partner().await);
    let broken = database.user(one, "broken@example.com").await;
    let whole = [database.user(one, "whole@example.com").await, database.user(two, "whole@example.com").await];
    database.sql.execute(WITHOUT_CONSTRAINTS);
    database.sql.execute(&format!("UPDATE users SET updated_at = 'infinity' WHERE user_id = '{}'", broken.id));

    let mut session = database.session();
    session.execute("BEGIN; LOCK TABLE users");
    let find = |user: &signet_domain::User| {
        let (store, partner_id, user_id) = (database.store.clone(), user.partner_id, user.id);
        tokio::spawn(async move { UserRepository::find(&store, partner_id, user_id).await })
    };
    let first = find(&whole[0]);
    settle().await;
    session.wait_for_waiters(1);
    let (broken, rest) = (find(&broken), whole.each_ref().map(find));
    settle().await;
    session.execute("COMMIT");
    assert_eq!(first.await.expect("joins"), Ok(Some(whole[0].clone())));
    let refused = broken.await.expect("joins");
    assert!(matches!(refused, Err(StoreError::Unexpected { .. })), "{refused:?}");
    for (found, user) in rest.into_iter().zip(whole) {
        assert_eq!(found.await.expect("joins"), Ok(Some(user)));
    }
}

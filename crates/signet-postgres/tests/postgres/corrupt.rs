//! Rows that break an invariant of the domain are told by their column and key, and never by their value.

use signet_domain::ports::{ApiKeyRepository, AuditFilter, AuditTrail, PartnerRepository, StoreError};

use crate::support::Database;

const WITHOUT_CONSTRAINTS: &str = "DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$;
    ALTER TABLE audit_entries DISABLE TRIGGER ALL";

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
        ("name", "''"),
        ("email", "'john'"),
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
    database.sql.execute("UPDATE users SET removed_at = now()");
    assert_eq!(told(database.find(partner, user.id).await), ("users", "removed_at", name.clone()));

    let name = format!("{name}/1");
    for (column, value) in [
        ("action", "'user.lost'"),
        ("actor_type", "'ghost'"),
        ("actor_id", "'x'"),
        ("actor_name", "''"),
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

    for (column, value) in [("mode", "'dead'"), ("scope", "''"), ("name", "''")] {
        let before = database.sql.query(&format!("SELECT quote_literal({column}) FROM api_keys"));
        database.sql.execute(&format!("UPDATE api_keys SET {column} = {value}"));
        let found = told(ApiKeyRepository::find(&database.store, key.id.clone()).await);
        assert_eq!(found, ("api_keys", column, format!("{partner}/{}", key.id)));
        database.sql.execute(&format!("UPDATE api_keys SET {column} = {before}"));
    }

    database.sql.execute("UPDATE partners SET name = ''");
    let found = told(PartnerRepository::list(&database.store).await);
    assert_eq!(found, ("partners", "name", partner.to_string()));
}

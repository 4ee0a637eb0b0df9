//! What the role of the service may not do. What it may is shown by the contract, which runs in that role.

use signet_domain::ports::{ApiKeyRepository, UserRepository};

use crate::support::{Database, Session, ample, is_unavailable, session_at};

/// A user, a key and a trail, and a session in the role of the service.
async fn inhabited() -> (Database, Session) {
    let database = Database::migrated().await.in_the_role_of_the_service(ample());
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");
    let key = database.build.api_key(partner);
    ApiKeyRepository::insert(&database.store, key).await.expect("a key");
    let session = session_at(&database.url);
    (database, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_cannot_alter_the_schema_nor_touch_what_was_written() {
    let (database, mut session) = inhabited().await;
    let owner = database.sql.query("SELECT current_user");
    let mut others = Vec::new();
    for (change, refusal) in [
        // The trail.
        ("UPDATE audit_entries SET action = action", "permission denied for table audit_entries"),
        ("UPDATE audit_entries SET changes = '{}' WHERE version = 1", "permission denied for table audit_entries"),
        ("DELETE FROM audit_entries", "permission denied for table audit_entries"),
        ("TRUNCATE audit_entries", "permission denied for table audit_entries"),
        ("ALTER TABLE audit_entries DISABLE TRIGGER ALL", "must be owner of table audit_entries"),
        ("DROP TRIGGER audit_entries_append_only ON audit_entries", "must be owner of relation audit_entries"),
        ("CREATE RULE r AS ON INSERT TO audit_entries DO INSTEAD NOTHING", "must be owner of table audit_entries"),
        (
            "CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "permission",
        ),
        ("ALTER FUNCTION refuse_audit_change() RENAME TO f", "must be owner of function refuse_audit_change"),
        ("SET session_replication_role = replica", "permission denied to set parameter"),
        // The schema.
        ("ALTER TABLE users ADD COLUMN a int", "must be owner of table users"),
        ("ALTER TABLE users DROP CONSTRAINT users_email_key_unique", "must be owner of table users"),
        ("DROP TABLE audit_entries", "must be owner of table audit_entries"),
        ("DROP INDEX api_keys_by_key_id", "must be owner of index api_keys_by_key_id"),
        ("CREATE INDEX ON users (name)", "must be owner of table users"),
        ("CREATE TABLE t ()", "permission denied for schema public"),
        ("CREATE VIEW v AS SELECT 1", "permission denied for schema public"),
        ("CREATE TEMPORARY TABLE t ()", "permission denied to create temporary tables"),
        ("CREATE SCHEMA s", "permission denied for database"),
        ("DROP SCHEMA public CASCADE", "must be owner of schema public"),
        ("SELECT 1; LOCK TABLE users IN ACCESS EXCLUSIVE MODE", "permission denied for table users"),
        ("INSERT INTO __diesel_schema_migrations VALUES ('1')", "permission denied for table __diesel"),
        ("DELETE FROM __diesel_schema_migrations", "permission denied for table __diesel"),
        // What never changes of the other tables.
        ("DELETE FROM users", "permission denied for table users"),
        ("TRUNCATE users CASCADE", "permission denied for table users"),
        ("UPDATE users SET user_id = user_id", "permission denied for table users"),
        ("UPDATE users SET partner_id = partner_id", "permission denied for table users"),
        ("UPDATE users SET ordinal = ordinal", "permission denied for table users"),
        ("UPDATE users SET registered_at = registered_at", "permission denied for table users"),
        ("DELETE FROM partners", "permission denied for table partners"),
        ("UPDATE partners SET name = name", "permission denied for table partners"),
        (
            "INSERT INTO partners (partner_id, name, created_at, user_count) VALUES (gen_random_uuid(), 'a', now(), 7)",
            "permission denied for table partners",
        ),
        ("DELETE FROM api_keys", "permission denied for table api_keys"),
        ("UPDATE api_keys SET secret_hash = secret_hash", "permission denied for table api_keys"),
        ("UPDATE api_keys SET scope = 'read_write'", "permission denied for table api_keys"),
        ("UPDATE api_keys SET expires_at = NULL", "permission denied for table api_keys"),
        // A way around.
        (&format!("SET ROLE {owner}"), "permission denied to set role"),
        (&format!("ALTER DATABASE {} SET search_path = s", database.sql.name()), "must be owner of database"),
    ] {
        let refused = session.refusal(change);
        if !refused.starts_with(refusal) {
            others.push(format!("{change}: {refused}"));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(database.sql.query("SELECT count(*) FROM audit_entries"), "2");
}

/// A table that a migration adds is nobody's until `docs/roles.sql` names it, and whatever a role gets by default shows
/// here.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_owns_nothing_and_has_these_rights() {
    let (database, mut session) = inhabited().await;
    assert_eq!(
        session.number("SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = current_user::regrole"),
        0
    );
    assert_eq!(session.number("SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"), 0);
    let role = database.sql.name();
    let of_tables = database.sql.query(&format!(
        "SELECT relname, string_agg(kind, ' ' ORDER BY kind) FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE',
             'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS kind
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
             AND has_table_privilege('{role}', oid, kind) GROUP BY relname ORDER BY relname COLLATE \"C\"",
    ));
    assert_eq!(
        of_tables.lines().collect::<Vec<_>>(),
        [
            "__diesel_schema_migrations|SELECT",
            "api_keys|INSERT SELECT",
            "audit_entries|INSERT SELECT",
            "partners|SELECT",
            "users|INSERT SELECT",
        ]
    );
    let of_columns = database.sql.query(&format!(
        "SELECT table_name, privilege_type, string_agg(column_name, ' ' ORDER BY column_name COLLATE \"C\")
         FROM information_schema.column_privileges AS the
         WHERE grantee = '{role}' AND NOT has_table_privilege(grantee, table_name, privilege_type)
         GROUP BY table_name, privilege_type ORDER BY table_name COLLATE \"C\", privilege_type COLLATE \"C\"",
    ));
    assert_eq!(
        of_columns.lines().collect::<Vec<_>>(),
        [
            "api_keys|UPDATE|revoked_at",
            "partners|INSERT|created_at disabled_at name partner_id",
            "partners|UPDATE|disabled_at user_count",
            "users|UPDATE|email email_key metadata name removed_at status updated_at version",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_needs_no_right_to_migrate_a_complete_schema_and_says_who_has_it() {
    let (database, _) = inhabited().await;
    assert_eq!(database.store.migrate().await.map(|it| it.applied), Ok(0));
    database.store.ready().await.expect("ready");
    database.sql.execute("DELETE FROM __diesel_schema_migrations WHERE version >= '20261124100200'");
    let refused = database.store.migrate().await.expect_err("it would have to create");
    assert!(is_unavailable(&refused), "the owner may do it meanwhile: {refused}");
    let reason = "lacks 3 migrations, and its owner has to run `signet migrate`";
    assert!(refused.to_string().ends_with(reason), "{refused}");
    // A role that may create tables, but did not create those that are there.
    database.sql.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", database.sql.name()));
    assert_eq!(database.store.migrate().await, Err(refused));
}

//! The schema repeats the domain's rules, for whatever else writes to it.

use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::TestDatabase;

use crate::support::{Database, is_unavailable};

#[tokio::test(flavor = "multi_thread")]
async fn every_primary_key_and_unique_constraint_leads_with_the_partner() {
    let database = Database::migrated().await;
    let leading = database.sql.query(
        "SELECT t.relname || '.' || i.relname, a.attname FROM pg_index x
         JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
         WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE '\\_\\_diesel%'
         ORDER BY 1",
    );
    let indexes: Vec<&str> = leading.lines().collect();
    assert_eq!(
        indexes,
        [
            "api_keys.api_keys_pkey|partner_id",
            "audit_entries.audit_entries_pkey|partner_id",
            "partners.partners_pkey|partner_id",
            "users.users_email_key_unique|partner_id",
            "users.users_ordinal_unique|partner_id",
            "users.users_pkey|partner_id",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_constraints_bite() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    let key = database.build.api_key(partner);
    signet_domain::ports::ApiKeyRepository::insert(&database.store, key).await.expect("a key");
    let mut session = database.session();
    for (change, constraint) in [
        ("UPDATE users SET name = ''", "users_name_check"),
        ("UPDATE users SET name = repeat('x', 201)", "users_name_check"),
        ("UPDATE users SET email = 'ab'", "users_email_check"),
        ("UPDATE users SET email = repeat('x', 255)", "users_email_check"),
        ("UPDATE users SET status = 'gone'", "users_status_check"),
        ("UPDATE users SET metadata = '[]'", "users_metadata_check"),
        ("UPDATE users SET metadata = '{' || repeat(' ', 16383) || '}'", "users_metadata_check"),
        ("UPDATE users SET removed_at = now()", "users_removed_implies_inactive"),
        ("UPDATE users SET updated_at = registered_at - interval '1 ms'", "users_updated_after_registered"),
        ("UPDATE users SET version = 0", "users_version_check"),
        ("UPDATE users SET ordinal = 0", "users_ordinal_check"),
        ("UPDATE users SET partner_id = user_id", "foreign key"),
        ("UPDATE partners SET name = ''", "partners_name_check"),
        ("UPDATE partners SET user_count = -1", "partners_user_count_check"),
        ("DELETE FROM partners", "foreign key"),
        ("DELETE FROM users", "foreign key"),
        ("UPDATE api_keys SET key_id = 'short'", "api_keys_key_id_check"),
        ("UPDATE api_keys SET mode = 'dead'", "api_keys_mode_check"),
        ("UPDATE api_keys SET scope = 'none'", "api_keys_scope_check"),
        ("UPDATE api_keys SET secret_hash = 'plain'", "api_keys_secret_hash_check"),
        ("UPDATE api_keys SET partner_id = gen_random_uuid()", "foreign key"),
        ("UPDATE audit_entries SET action = action", "neither updated nor deleted"),
        ("DELETE FROM audit_entries", "neither updated nor deleted"),
        ("TRUNCATE audit_entries", "neither updated nor deleted"),
        ("TRUNCATE audit_entries, users, partners, api_keys", "neither updated nor deleted"),
    ] {
        let refusal = session.refusal(change);
        assert!(refusal.contains(constraint), "{change}: {refusal}");
    }
    let entry = |version: i64, action: &str, user: &str| {
        format!(
            "INSERT INTO audit_entries SELECT partner_id, {user}, {version}, gen_random_uuid(), '{action}', actor_type,
                actor_id, actor_name, changes, request_id, ip_address, occurred_at FROM audit_entries"
        )
    };
    for (insert, constraint) in [
        (entry(1, "user.registered", "user_id"), "audit_entries_pkey"),
        (entry(2, "user.registered", "user_id"), "audit_entries_first_is_registration"),
        (entry(2, "user.lost", "user_id"), "audit_entries_action_check"),
        (entry(2, "user.updated", "gen_random_uuid()"), "foreign key"),
        (entry(0, "user.updated", "user_id"), "audit_entries_version_check"),
    ] {
        let refusal = session.refusal(&insert);
        assert!(refusal.contains(constraint), "{insert}: {refusal}");
    }
    for (columns, constraint) in [
        (("gen_random_uuid()", "2", "email_key"), "users_email_key_unique"),
        (("gen_random_uuid()", "1", "'other'"), "users_ordinal_unique"),
        (("user_id", "2", "'other'"), "users_pkey"),
    ] {
        let (id, ordinal, email_key) = columns;
        let refusal = session.refusal(&format!(
            "INSERT INTO users SELECT partner_id, {id}, {ordinal}, name, email, {email_key}, status, metadata,
                registered_at, updated_at, removed_at, version FROM users"
        ));
        assert!(refusal.contains(constraint), "{refusal}");
    }
    assert_eq!(signet_domain::ports::UserRepository::find(&database.store, partner, user.id).await, Ok(Some(user)));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_down_and_up_again() {
    let database = Database::migrated().await;
    assert_eq!(database.store.migrate().await, Ok(0));
    database.store.ready().await.expect("migrated");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("migrations").map(|entry| entry.expect("one").path()).collect();
    names.sort();
    for name in names.iter().rev() {
        database.sql.execute(&std::fs::read_to_string(name.join("down.sql")).expect("down.sql"));
    }
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')";
    assert_eq!(database.sql.query(left), "1", "the table of the migrations alone");
    assert_eq!(database.sql.query("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), "0");
    database.sql.execute("TRUNCATE __diesel_schema_migrations");
    let refused = database.store.ready().await.expect_err("nothing is applied");
    assert!(refused.to_string().contains("lacks"), "{refused}");
    assert_eq!(database.store.migrate().await, Ok(names.len()));
    database.store.ready().await.expect("migrated");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_migrate_at_once_do_it_once() {
    let empty = TestDatabase::create();
    let stores: Vec<_> =
        (0..6).map(|_| PostgresStore::connect(empty.url(), PostgresOptions::default()).expect("a URL")).collect();
    let refused = stores[0].ready().await.expect_err("no schema");
    assert!(is_unavailable(&refused) && refused.to_string().contains("lacks 4 migrations"), "{refused}");
    let runs: Vec<_> = stores.into_iter().map(|store| tokio::spawn(async move { store.migrate().await })).collect();
    let mut applied = Vec::new();
    for run in runs {
        applied.push(run.await.expect("joins").expect("migrated"));
    }
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, 0, 0, 0, 4]);
}

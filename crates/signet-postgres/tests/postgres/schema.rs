//! The schema repeats the domain's rules, for whatever else writes to it.

use crate::support::Database;

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
async fn every_reference_stays_within_the_partner() {
    let database = Database::migrated().await;
    let references = database.sql.query(
        "SELECT c.conrelid::regclass, c.confrelid::regclass, string_agg(a.attname || ' ' || b.attname, ', ' ORDER BY n)
         FROM pg_constraint c, unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (one, other, n)
         JOIN pg_attribute a ON a.attnum = k.one JOIN pg_attribute b ON b.attnum = k.other
         WHERE c.contype = 'f' AND a.attrelid = c.conrelid AND b.attrelid = c.confrelid
         GROUP BY c.oid, c.conrelid, c.confrelid ORDER BY c.conrelid::regclass::text COLLATE \"C\"",
    );
    let references: Vec<&str> = references.lines().collect();
    assert_eq!(
        references,
        [
            "api_keys|partners|partner_id partner_id",
            "audit_entries|users|partner_id partner_id, user_id user_id",
            "users|partners|partner_id partner_id",
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
        ("UPDATE users SET registered_at = '-infinity'", "users_instants_finite"),
        ("UPDATE users SET updated_at = 'infinity'", "users_instants_finite"),
        ("UPDATE users SET removed_at = 'infinity', status = 'inactive'", "users_instants_finite"),
        ("UPDATE users SET version = 0", "users_version_check"),
        ("UPDATE users SET ordinal = 0", "users_ordinal_check"),
        ("UPDATE users SET partner_id = user_id", "foreign key"),
        ("UPDATE partners SET name = ''", "partners_name_check"),
        ("UPDATE partners SET user_count = -1", "partners_user_count_check"),
        ("UPDATE partners SET created_at = 'infinity'", "partners_instants_finite"),
        ("UPDATE partners SET disabled_at = 'infinity'", "partners_instants_finite"),
        ("DELETE FROM partners", "foreign key"),
        ("DELETE FROM users", "foreign key"),
        ("UPDATE api_keys SET key_id = 'short'", "api_keys_key_id_check"),
        ("UPDATE api_keys SET mode = 'dead'", "api_keys_mode_check"),
        ("UPDATE api_keys SET scope = 'none'", "api_keys_scope_check"),
        ("UPDATE api_keys SET secret_hash = 'plain'", "api_keys_secret_hash_check"),
        ("UPDATE api_keys SET created_at = 'infinity'", "api_keys_instants_finite"),
        ("UPDATE api_keys SET expires_at = 'infinity'", "api_keys_instants_finite"),
        ("UPDATE api_keys SET revoked_at = 'infinity'", "api_keys_instants_finite"),
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

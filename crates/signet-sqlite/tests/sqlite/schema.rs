//! The schema itself: what it refuses, and that it is the schema of the other adapter.

use diesel::{SqliteConnection, connection::SimpleConnection};
use signet_domain::ports::UserRepository;
use signet_testkit::TestDatabase;

use crate::support::{File, blob, lines, refusal};

const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'";

const NEW_USER: &str = "x'00000000000070008000000000000000'";

/// A user and its entry, written by the store, and a connection that the foreign keys hold for.
async fn populated() -> (File, SqliteConnection, String) {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    store.commit(build.registration(partner_id, "jane@example.com")).await.expect("registered");
    let mut connection = file.connect();
    connection.batch_execute("PRAGMA foreign_keys = ON").expect("a pragma");
    (file, connection, blob(john.id.uuid()))
}

#[tokio::test]
async fn entries_can_be_neither_updated_nor_deleted() {
    let (_file, mut connection, _) = populated().await;
    for sql in [
        "UPDATE audit_entries SET actor_name = 'Nobody'",
        "DELETE FROM audit_entries",
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries",
        "INSERT INTO audit_entries SELECT * FROM audit_entries",
        "DELETE FROM users",
    ] {
        let reason = refusal(&mut connection, sql);
        let expected = ["audit entries can be neither updated nor deleted", "FOREIGN KEY constraint failed"];
        assert!(expected.contains(&reason.as_str()), "{sql}: {reason}");
    }
    assert_eq!(lines(&mut connection, "SELECT action AS line FROM audit_entries").len(), 2);
}

#[tokio::test]
async fn the_rules_of_the_domain_are_constraints() {
    let (_file, mut connection, john) = populated().await;
    for (set, constraint) in [
        ("status = 'removed'", "status IN"),
        ("status = 'Active'", "status IN"),
        ("removed_at = updated_at", "users_removed_implies_inactive"),
        ("updated_at = registered_at - 1", "users_updated_after_registered"),
        ("name = ''", "length(name)"),
        ("name = printf('%.*c', 201, 'x')", "length(name)"),
        ("email = 'a@'", "octet_length(email)"),
        ("email = printf('%.*c', 255, 'x')", "octet_length(email)"),
        ("email_key = 'jane@example.com'", "users.partner_id, users.email_key"),
        ("metadata = '[]'", "octet_length(metadata)"),
        ("metadata = '{' || printf('%.*c', 16383, 'x') || '}'", "octet_length(metadata)"),
        ("version = 0", "version >= 1"),
        ("ordinal = 0", "ordinal >= 1"),
        ("ordinal = 2", "users.partner_id, users.ordinal"),
        ("name = NULL", "users.name"),
        ("registered_at = 'yesterday'", "cannot store TEXT value in INTEGER column"),
        ("user_id = 'text'", "cannot store TEXT value in BLOB column"),
        ("user_id = x'00'", "length(user_id)"),
        ("partner_id = x'00000000000000000000000000000000'", "FOREIGN KEY"),
    ] {
        let reason = refusal(&mut connection, &format!("UPDATE users SET {set} WHERE user_id = {john}"));
        assert!(reason.contains(constraint), "{set}: {reason}");
    }
    for (table, sql, constraint) in [
        ("partners", "SELECT partner_id, 'Twin', 0, NULL, 0", "partners.partner_id"),
        ("partners", "SELECT x'00', 'Short', 0, NULL, 0", "length(partner_id)"),
        ("partners", "SELECT randomblob(16), 'Negative', 0, NULL, -1", "user_count >= 0"),
        ("api_keys", "SELECT partner_id, 'short', 'n', 'live', 'read_only', '$argon2id$', 0, 0, 0", "length(key_id)"),
        ("api_keys", "SELECT partner_id, '0123456789abcde-', 'n', 'live', 'read_only', '$argon2id$', 0, 0, 0", "GLOB"),
        ("api_keys", "SELECT partner_id, '0123456789abcdef', 'n', 'dead', 'read_only', '$argon2id$', 0, 0, 0", "mode"),
        ("api_keys", "SELECT partner_id, '0123456789abcdef', 'n', 'live', 'all', '$argon2id$', 0, 0, 0", "scope"),
        (
            "api_keys",
            "SELECT partner_id, '0123456789abcdef', 'n', 'live', 'read_only', 'clear', 0, 0, 0",
            "secret_hash",
        ),
    ] {
        let reason = refusal(&mut connection, &format!("INSERT INTO {table} {sql} FROM partners"));
        assert!(reason.contains(constraint), "{table}: {sql}: {reason}");
    }
    // A user without an entry: all that is wrong with the entries below is the one value.
    let columns = "status, metadata, registered_at, updated_at, removed_at, version FROM users LIMIT 1";
    let new = format!("INSERT INTO users SELECT partner_id, {NEW_USER}, 3, name, 'new@a.b', 'new@a.b', {columns}");
    connection.batch_execute(&new).expect("a user");
    for (column, value, constraint) in [
        ("version", "0", "version >= 1"),
        ("version", "2", "audit_entries_first_is_registration"),
        ("action", "'user.deleted'", "action IN"),
        ("action", "'user.updated'", "audit_entries_first_is_registration"),
        ("actor_type", "'person'", "actor_type"),
        ("changes", "'[]'", "changes GLOB"),
        ("request_id", "'a b'", "request_id"),
        ("request_id", "''", "request_id"),
        ("entry_id", "x'00'", "length(entry_id)"),
        ("user_id", "randomblob(16)", "FOREIGN KEY"),
    ] {
        let columns = "partner_id, user_id, version, entry_id, action, actor_type, actor_id, actor_name, changes, \
                       request_id, ip_address, occurred_at";
        let value_of = |name| match name {
            name if name == column => value,
            "user_id" => NEW_USER,
            name => name,
        };
        let values = columns.split(", ").map(value_of).collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO audit_entries SELECT {values} FROM audit_entries LIMIT 1");
        let reason = refusal(&mut connection, &sql);
        assert!(reason.contains(constraint), "{column} = {value}: {reason}");
    }
}

#[tokio::test]
async fn every_table_checks_types_and_every_key_leads_with_the_partner() {
    let (_store, file) = File::migrated().await;
    let mut connection = file.connect();
    let loose = "SELECT name AS line FROM pragma_table_list
                 WHERE schema = 'main' AND type = 'table' AND strict = 0 AND substr(name, 1, 2) <> '__'
                 AND name NOT LIKE 'sqlite%'";
    assert_eq!(lines(&mut connection, loose), [""; 0]);
    let keys = format!(
        "SELECT i.name || ' ' || c.name AS line FROM ({TABLES}) t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
         WHERE i.\"unique\" AND c.seqno = 0"
    );
    let keys = lines(&mut connection, &keys);
    assert!(keys.len() >= 6, "{keys:?}");
    for key in keys {
        assert!(key.ends_with(" partner_id"), "{key}");
    }
}

#[tokio::test]
async fn every_reference_stays_within_the_partner() {
    let (_file, mut connection, _) = populated().await;
    let references = format!(
        "SELECT t.name || ' ' || f.\"table\" || ': ' || group_concat(f.\"from\" || ' ' || f.\"to\", ', ') AS line
         FROM ({TABLES}) t, pragma_foreign_key_list(t.name) f GROUP BY t.name, f.id ORDER BY 1"
    );
    assert_eq!(
        lines(&mut connection, &references),
        [
            "api_keys partners: partner_id partner_id",
            "audit_entries users: partner_id partner_id, user_id user_id",
            "users partners: partner_id partner_id",
        ]
    );
    let another = "INSERT INTO partners VALUES (x'00000000000070008000000000000001', 'Another', 0, NULL, 0)";
    connection.batch_execute(another).expect("a partner");
    let entry =
        "INSERT INTO audit_entries SELECT x'00000000000070008000000000000001', user_id, version, entry_id, action,
        actor_type, actor_id, actor_name, changes, request_id, ip_address, occurred_at FROM audit_entries";
    assert_eq!(refusal(&mut connection, entry), "FOREIGN KEY constraint failed");
}

/// Tables, columns and whether they may be null; keys and indexes by their columns.
#[tokio::test]
async fn both_databases_have_the_same_tables() {
    let (_store, file) = File::migrated().await;
    let mut sqlite = file.connect();
    let postgres = TestDatabase::create();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let names = |database: &str| {
        let entries = std::fs::read_dir(format!("{directory}/{database}")).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"), "each migration has its twin");
    for name in names("postgres") {
        let up = format!("{directory}/postgres/{}/up.sql", name.to_str().expect("UTF-8"));
        postgres.execute(&std::fs::read_to_string(up).expect("readable"));
    }

    let columns = format!(
        "SELECT t.name || '.' || c.name || ' ' || iif(c.\"notnull\", 'never', 'maybe') || ' null ' ||
         CASE WHEN c.type = 'INTEGER' AND c.name LIKE '%\\_at' ESCAPE '\\' THEN 'instant' WHEN c.type = 'INTEGER' THEN 'number'
              WHEN c.type = 'BLOB' THEN 'id' ELSE 'text' END AS line
         FROM ({TABLES}) t, pragma_table_info(t.name) c ORDER BY 1"
    );
    let in_postgres = postgres.query(
        "SELECT table_name || '.' || column_name || ' ' ||
         CASE is_nullable WHEN 'NO' THEN 'never' ELSE 'maybe' END || ' null ' ||
         CASE data_type WHEN 'timestamp with time zone' THEN 'instant' WHEN 'bigint' THEN 'number'
                        WHEN 'uuid' THEN 'id' ELSE data_type END
         FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
    );
    let mut in_postgres: Vec<_> = in_postgres.lines().map(str::to_owned).collect();
    in_postgres.sort();
    assert_eq!(lines(&mut sqlite, &columns), in_postgres);

    let indexes = format!(
        "SELECT t.name || ' (' || (SELECT group_concat(c.name, ', ') FROM
             (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) c) || ')' ||
             iif(i.\"unique\", ' unique', '') || iif(i.partial, ' partial', '') AS line
         FROM ({TABLES}) t, pragma_index_list(t.name) i ORDER BY 1"
    );
    let in_postgres = postgres.query(
        "SELECT t.relname || ' (' ||
            (SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n)
             FROM generate_series(1, i.indnatts) n) || ')' ||
            CASE WHEN i.indisunique THEN ' unique' ELSE '' END || CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         WHERE t.relnamespace = 'public'::regnamespace",
    );
    let mut in_postgres: Vec<_> = in_postgres.lines().map(str::to_owned).collect();
    in_postgres.sort();
    assert_eq!(lines(&mut sqlite, &indexes), in_postgres);
}

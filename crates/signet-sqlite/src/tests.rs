//! What only shows from inside: how statements are prepared, planned and undone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::{
    Connection, QueryDsl, QueryableByName, RunQueryDsl, SelectableHelper, SqliteConnection,
    connection::{InstrumentationEvent, SimpleConnection},
    sql_query,
    sql_types::Text,
};
use signet_conformance::{Builder, metadata};
use signet_domain::{
    Action, MetadataPatch, PartnerId, User, UserPatch,
    ports::{AuditFilter, CommitError, Page, StoreError},
};

use crate::{
    audit,
    errors::unavailable,
    migrations,
    pool::{self, Access},
    rows::{ApiKeyRow, AuditRow, CountRow, HolderRow, UserRow},
    schema, users,
};

/// A database with a partner and a user.
fn populated() -> (SqliteConnection, Builder, PartnerId, User) {
    let mut connection = SqliteConnection::establish(":memory:").expect("opens");
    connection.batch_execute("PRAGMA foreign_keys = ON").expect("a pragma");
    migrations::run(&mut connection, Duration::ZERO).expect("migrates");
    let build = Builder::new(1);
    let partner_id = build.partner().id;
    let id = partner_id.uuid().simple().to_string();
    let partner = format!("INSERT INTO partners VALUES (x'{id}', 'Acme Inc.', 0, NULL, 0)");
    connection.batch_execute(&partner).expect("a partner");
    let registration = build.registration(partner_id, "john@example.com");
    users::commit(&mut connection, &[&registration]).expect("committed");
    (connection, build, partner_id, registration.user)
}

/// What a query answers in its column `line`, or a plan in its column `detail`.
fn lines(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    if query.starts_with("EXPLAIN") {
        let steps: Vec<Step> = sql_query(query).load(connection).expect(query);
        return steps.into_iter().map(|step| step.detail).collect();
    }
    let rows: Vec<Line> = sql_query(query).load(connection).expect(query);
    rows.into_iter().map(|row| row.line).collect()
}

/// Does once what a service does all the time, in every shape that it has.
fn do_everything(connection: &mut SqliteConnection, build: &Builder, partner_id: PartnerId, number: usize) {
    let registration = build.registration(partner_id, &format!("user{number}@example.com"));
    let update = build.renaming(&registration.user, "Johnny");
    let outcomes = users::commit(connection, &[&registration, &update]).expect("committed");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let found = users::find_one(connection, partner_id, registration.user.id).expect("an answer");
    assert_eq!(found.map(|row| row.into_user(partner_id)), Some(Ok(update.user)));
    let rows = users::list(connection, partner_id, Page::new(1, 0).expect("a page")).expect("an answer");
    assert_eq!(users::page_of(partner_id, rows).expect("a page").users.len(), 1);
    for user_id in [None, Some(registration.user.id)] {
        for action in [None, Some(Action::Registered), Some(Action::Updated)] {
            for before in [None, Some(registration.audit.position())] {
                audit::entries(connection, partner_id, AuditFilter { user_id, action }, before, 1).expect("an answer");
            }
        }
    }
}

#[test]
fn every_frequent_statement_is_prepared_once() {
    let (mut connection, build, partner_id, _) = populated();
    let started = Arc::new(Mutex::new(BTreeSet::new()));
    let prepared = Arc::new(Mutex::new(Vec::new()));
    connection.set_instrumentation({
        let (started, prepared) = (Arc::clone(&started), Arc::clone(&prepared));
        move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                let text = query.to_string();
                let text = text.split(" -- binds:").next().unwrap_or_default().to_owned();
                started.lock().expect("no panic").insert(text);
            }
            InstrumentationEvent::CacheQuery { sql, .. } => prepared.lock().expect("no panic").push(sql.to_owned()),
            _ => {}
        }
    });
    for number in 0..3 {
        do_everything(&mut connection, &build, partner_id, number);
    }
    let frequent = started.lock().expect("no panic").clone();
    let frequent = frequent.into_iter().filter(|text| text != "BEGIN IMMEDIATE" && text != "COMMIT");
    let mut prepared = prepared.lock().expect("no panic").clone();
    prepared.sort();
    // Those that the fixture used before are in the cache already.
    let missing: Vec<_> = frequent.filter(|text| !prepared.contains(text)).collect();
    assert_eq!(missing.len(), 4, "owner, ordinal, insert, audit insert: {missing:#?}");
    let once: BTreeSet<_> = prepared.iter().cloned().collect();
    assert_eq!(once.len(), prepared.len(), "{prepared:#?}");
}

#[test]
fn no_frequent_statement_sorts_or_scans() {
    let (mut connection, build, partner_id, _) = populated();
    let started = Arc::new(Mutex::new(BTreeSet::new()));
    connection.set_instrumentation({
        let started = Arc::clone(&started);
        move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                let text = query.to_string();
                started
                    .lock()
                    .expect("no panic")
                    .insert(text.split(" -- binds:").next().unwrap_or_default().to_owned());
            }
        }
    });
    do_everything(&mut connection, &build, partner_id, 0);
    let statements = started.lock().expect("no panic").clone();
    for text in statements.iter().filter(|text| !text.starts_with("BEGIN") && *text != "COMMIT") {
        for detail in lines(&mut connection, &format!("EXPLAIN QUERY PLAN {text}")) {
            assert!(!detail.starts_with("SCAN") && !detail.contains("TEMP B-TREE"), "{detail}: {text}");
            // No row of another partner is even looked at.
            assert!(!detail.starts_with("SEARCH") || detail.contains("(partner_id=?"), "{detail}: {text}");
            if text.contains("action <> 'user.registered'") && !text.contains("user_id = ") {
                assert!(detail.contains("audit_entries_newest_by_action"), "{detail}: {text}");
            }
        }
    }
}

#[test]
fn a_full_disk_undoes_the_batch_and_room_mends_it() {
    let (mut connection, build, partner_id, john) = populated();
    let big = metadata(&serde_json::json!({ "a": "x".repeat(16_000) })).to_object();
    let small = build.registration(partner_id, "jane@example.com");
    let patch = UserPatch { metadata: Some(MetadataPatch::new(big).expect("valid")), ..UserPatch::default() };
    let change = build.change(&john, &patch);
    connection.batch_execute("PRAGMA max_page_count = 1").expect("no room: the pages that there are");
    let full = users::commit(&mut connection, &[&small, &change]).expect_err("no room").0;
    assert_eq!(full, unavailable("database or disk is full"));
    let mut find = |id| users::find_one(&mut connection, partner_id, id).expect("an answer");
    assert_eq!(find(john.id).map(|row| row.into_user(partner_id)), Some(Ok(john)));
    assert!(find(small.user.id).is_none());

    connection.batch_execute("PRAGMA max_page_count = 10000").expect("room");
    let outcomes: Vec<Result<User, CommitError>> = users::commit(&mut connection, &[&small, &change]).expect("room");
    assert_eq!(outcomes, [Ok(small.user), Ok(change.user)]);
}

/// `SQLite` compares ids as bytes, and nobody can make it find a row of another partner; so each is handed over here.
#[test]
fn no_row_leaves_for_another_partner() {
    use schema::{api_keys, audit_entries, partners};
    let (mut connection, build, partner_id, john) = populated();
    let id = partner_id.uuid().simple();
    let key = format!(
        "INSERT INTO api_keys VALUES (x'{id}', '0123456789abcdef', 'n', 'live', 'read_only', '$argon2id$', 0, NULL, NULL)"
    );
    connection.batch_execute(&key).expect("a key");
    let user: UserRow = schema::users::table.select(UserRow::as_select()).first(&mut connection).expect("a row");
    let holder: HolderRow = schema::users::table.select(HolderRow::as_select()).first(&mut connection).expect("a row");
    let count: CountRow = partners::table.select(CountRow::as_select()).first(&mut connection).expect("a row");
    let entry: AuditRow = audit_entries::table.select(AuditRow::as_select()).first(&mut connection).expect("a row");
    let key: ApiKeyRow = api_keys::table.select(ApiKeyRow::as_select()).first(&mut connection).expect("a row");

    let other = build.partner().id;
    let corrupt = |table, key| StoreError::Corrupt { table, column: "partner_id", key };
    let of_user = corrupt("users", format!("{partner_id}/{}", john.id));
    assert_eq!(user.into_user(other), Err(of_user.clone()));
    assert_eq!(holder.into_refusal(other), CommitError::Store(of_user));
    assert_eq!(count.into_total(other), Err(corrupt("partners", partner_id.to_string())));
    assert_eq!(entry.into_entry(other), Err(corrupt("audit_entries", format!("{partner_id}/{}/1", john.id))));
    assert_eq!(key.into_key(other), Err(corrupt("api_keys", format!("{partner_id}/0123456789abcdef"))));
}

#[test]
fn connections_sync_each_commit_and_readers_only_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("signet.db");
    let patience = Duration::from_millis(1234);
    let helper = Arc::new(scheduled_thread_pool::ScheduledThreadPool::new(1));
    pool::prepare(&path, patience).expect("a file");
    for (access, query_only) in [(Access::Read, "1"), (Access::Write, "0")] {
        let mut connection = pool::build((&path, path.to_str().expect("UTF-8")), (access, 1), patience, &helper)
            .expect("a pool")
            .get()
            .expect("a connection");
        for (pragma, expected) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("query_only", query_only),
            ("busy_timeout", "1234"),
        ] {
            let column = if pragma == "busy_timeout" { "timeout" } else { pragma };
            let query = format!("SELECT CAST({column} AS TEXT) AS line FROM pragma_{pragma}");
            assert_eq!(lines(&mut connection, &query), [expected], "{pragma} of {access:?}");
        }
    }
}

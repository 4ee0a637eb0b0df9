//! How many statements an operation takes, and how Postgres runs them, as the server itself logs it.

use futures_util::future::join_all;
use signet_domain::{
    Action,
    ports::{ApiKeyRepository, AuditFilter, AuditTrail, KeyLookup, UserRepository},
};
use signet_postgres::PostgresOptions;
use signet_testkit::{PostgresServer, TestDatabase};

use crate::support::{Database, ample, private};

/// Returns once all that the server has logged until now has reached us, through a pipe.
pub fn read_to_the_end(server: &PostgresServer, sql: &TestDatabase) {
    let start = server.log().len();
    let marker = format!("the marker {start}");
    sql.execute(&format!("DO $$ BEGIN RAISE LOG '{marker}'; END $$"));
    server.wait_for_log(start, |line| line.contains(&marker).then_some(()));
}

/// The statements of the store that were begun since the log had `start` lines.
fn statements(server: &PostgresServer, sql: &TestDatabase, start: usize) -> Vec<String> {
    read_to_the_end(server, sql);
    let log = server.log().into_iter().skip(start);
    log.filter(|line| line.contains("LOG:  execute ") || line.contains("LOG:  statement: "))
        .filter(|line| !line.contains("the marker"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_one_prepared_statement() {
    let server = private(&["log_statement=all"]);
    let options = PostgresOptions { threads: 1, ..ample() };
    let database = Database::with(TestDatabase::create_on(&server), options).await;
    let partner = database.partner().await;
    let first = database.user(partner, "first@example.com").await;
    // Nor does a connection that is still being made log what it sets.
    database.wait_until_idle();
    assert_eq!(database.store.pool_state().limit, 2, "one for the thread that reads and one for that which writes");
    read_to_the_end(&server, &database.sql);
    for round in 0..3 {
        let start = server.log().len();
        let user = database.user(partner, &format!("{round}@example.com")).await;
        let registering = statements(&server, &database.sql, start);

        let start = server.log().len();
        let found = database.find(partner, user.id).await.expect("an answer").expect("a user");
        let finding = statements(&server, &database.sql, start);

        let start = server.log().len();
        database.store.commit(database.build.renaming(&found, "Jack")).await.expect("renamed");
        let replacing = statements(&server, &database.sql, start);

        let start = server.log().len();
        database.list(partner).await.expect("a list");
        let listing = statements(&server, &database.sql, start);

        let start = server.log().len();
        database.store.entries(partner, AuditFilter::default(), None, 10).await.expect("a trail");
        let reading = statements(&server, &database.sql, start);

        for statements in [&registering, &finding, &replacing, &listing, &reading] {
            assert_eq!(statements.len(), 1, "{statements:#?}");
            assert!(statements[0].contains("LOG:  execute __diesel_stmt_"), "{statements:#?}");
        }
    }
    assert_eq!(database.find(partner, first.id).await, Ok(Some(first)));
}

/// Batches form by themselves, of what is asked in one turn of the event loop. One statement for each kind, and another
/// where the thread was not asleep and took the first alone; the margin is for a machine that stops us in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_in_one_turn_shares_a_statement() {
    const MEMBERS: usize = 40;
    let server = private(&["log_statement=all"]);
    let database = Database::on(&server).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    read_to_the_end(&server, &database.sql);

    let start = server.log().len();
    let changes = (0..MEMBERS).map(|number| database.build.registration(partner, &format!("{number}@example.com")));
    let registered = join_all(changes.map(|change| database.store.commit(change))).await;
    let registering = statements(&server, &database.sql, start);
    let users: Vec<_> = registered.into_iter().collect::<Result<_, _>>().expect("registered");

    let start = server.log().len();
    let found = join_all(users.iter().map(|user| database.find(partner, user.id))).await;
    let finding = statements(&server, &database.sql, start);
    assert!(found.into_iter().zip(&users).all(|(found, user)| found.as_ref() == Ok(&Some(user.clone()))));

    let start = server.log().len();
    let changes = users.iter().map(|user| database.build.renaming(user, "Jack"));
    let renamed = join_all(changes.map(|change| database.store.commit(change))).await;
    let replacing = statements(&server, &database.sql, start);
    assert!(renamed.iter().all(Result::is_ok), "{renamed:?}");

    for statements in [registering, finding, replacing] {
        assert!((1..=MEMBERS / 8).contains(&statements.len()), "{} statements", statements.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_statement_cache_nothing_is_prepared_or_set() {
    let server = private(&["log_statement=all"]);
    let options = PostgresOptions { statement_cache: false, ..ample() };
    let database = Database::with(TestDatabase::create_on(&server), options).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    read_to_the_end(&server, &database.sql);
    let start = server.log().len();
    let user = database.user(partner, "john@example.com").await;
    let user = database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");
    assert_eq!(database.find(partner, user.id).await, Ok(Some(user)));
    let statements = statements(&server, &database.sql, start);
    // What writes has a transaction of its own, which says what it needs.
    let (bounds, statements): (Vec<_>, Vec<_>) =
        statements.into_iter().partition(|line| line.contains("BEGIN") || line.contains("COMMIT"));
    assert_eq!(bounds.len(), 4, "{bounds:#?}");
    let begins = bounds.iter().filter(|line| line.contains("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED"));
    assert_eq!(begins.count(), 2, "{bounds:#?}");
    assert_eq!(statements.len(), 3, "{statements:#?}");
    assert!(statements.iter().all(|line| line.contains("LOG:  execute <unnamed>")), "{statements:#?}");
    assert!(!server.log().iter().any(|line| line.contains("set_config")));
}

/// The plans are made while every table is empty, and must be right for full ones.
#[tokio::test(flavor = "multi_thread")]
async fn every_plan_uses_an_index_from_the_first_row_on() {
    let server = private(&[
        "shared_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_level=LOG",
    ]);
    let database = Database::with(TestDatabase::create_on(&server), PostgresOptions { threads: 1, ..ample() }).await;
    let partner = database.partner().await;
    let key = database.build.api_key(partner);
    ApiKeyRepository::insert(&database.store, key.clone()).await.expect("a key");
    let start = server.log().len();

    let user = database.user(partner, "john@example.com").await;
    database.find(partner, user.id).await.expect("an answer");
    let user = database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");
    database.list(partner).await.expect("a list");
    let before =
        Some(database.store.entries(partner, AuditFilter::default(), None, 10).await.expect("a trail")[0].position());
    for user_id in [None, Some(user.id)] {
        for action in [None, Some(Action::Registered), Some(Action::Updated)] {
            database.store.entries(partner, AuditFilter { user_id, action }, before, 10).await.expect("a trail");
        }
    }
    ApiKeyRepository::find(&database.store, key.id, KeyLookup::FirstUse).await.expect("an answer");
    ApiKeyRepository::list(&database.store, partner).await.expect("a list");
    statements(&server, &database.sql, start);

    let log = server.log().split_off(start).join("\n");
    for index in [
        "Index Scan using users_pkey on users",
        "Index Scan using users_email_key_unique on users",
        "Index Scan using users_ordinal_unique on users",
        "Index Scan using partners_pkey on partners",
        "Index Scan using api_keys_by_key_id on api_keys",
        "Scan on api_keys_pkey",
        "Index Scan Backward using audit_entries_newest on audit_entries",
        "Index Scan Backward using audit_entries_newest_by_action on audit_entries",
        "Index Scan Backward using audit_entries_pkey on audit_entries",
    ] {
        assert!(log.contains(index), "{index}:\n{log}");
    }
    assert!(!log.contains("Seq Scan on"), "{log}");
    // An index without a condition is read from end to end.
    let lines: Vec<&str> = log.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[0].contains("Index Scan") || pair[0].contains("Index Only Scan")) {
        assert!(
            pair[1].contains("Index Cond: (") && pair[1].contains("partner_id") | pair[1].contains("key_id"),
            "{log}"
        );
    }
}

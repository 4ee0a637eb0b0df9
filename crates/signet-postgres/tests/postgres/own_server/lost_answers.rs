//! The answer to a commit gets lost, and the connection with it.

use std::time::{Duration, Instant};

use signet_conformance::Builder;
use signet_domain::ports::{ApiKeyRepository, CommitError, PartnerRepository, UserRepository};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::{PostgresServer, TestDatabase};

use crate::{
    batches::{Answer, entries_equal_changes, settle},
    keyed::watch,
    support::{Database, ample, is_unavailable, private, until},
    wire::Wire,
};

/// With one thread that reads and one that writes.
async fn wired(server: &PostgresServer, parameters: &str, deadline: Duration) -> (Database, Wire) {
    let (watch, sql) = (watch(), TestDatabase::create_on(server));
    let wire = Wire::to(server.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable{parameters}", wire.port, sql.name());
    let options = PostgresOptions { threads: 1, deadline, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&url, options).expect("a URL");
    store.migrate().await.expect("migrated");
    (Database { store, url, sql, build: Builder::new(1), watch }, wire)
}

/// Loses the answer to what comes next.
fn cut_next_answer(database: &Database, wire: &Wire) {
    database.wait_until_idle();
    wire.cut_next_answer();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_recognised() {
    let server = private(&[]);
    let (database, wire) = wired(&server, "", ample().deadline).await;
    let partner = database.partner().await;
    // Prepares the statements, so that the next answer is that to an execution.
    let user = database.user(partner, "first@example.com").await;
    let user = database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");

    cut_next_answer(&database, &wire);
    let john = database.user(partner, "john@example.com").await;
    assert_eq!(wire.cuts(), 1);
    assert_eq!(database.find(partner, john.id).await, Ok(Some(john.clone())));

    let warm = database.store.commit(database.build.renaming(&user, "Jim")).await.expect("renamed");
    cut_next_answer(&database, &wire);
    let renamed = database.store.commit(database.build.renaming(&warm, "Joe")).await.expect("renamed");
    assert_eq!(wire.cuts(), 2);
    assert_eq!(database.find(partner, user.id).await, Ok(Some(renamed)));

    // One that was not ours is still refused.
    cut_next_answer(&database, &wire);
    let taken = database.store.commit(database.build.registration(partner, "john@example.com")).await;
    assert_eq!(wire.cuts(), 3);
    assert_eq!(taken, Err(CommitError::email_taken(&john)));
    let mut session = database.session();
    assert_eq!(session.number("SELECT count(*) FROM users"), 2);
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), 5);

    cut_next_answer(&database, &wire);
    let other = database.build.partner();
    PartnerRepository::insert(&database.store, other.clone()).await.expect("inserted");
    assert_eq!(wire.cuts(), 4);
    assert_eq!(PartnerRepository::list(&database.store).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_recognised() {
    let server = private(&[]);
    let (database, wire) = wired(&server, "", ample().deadline).await;
    let (busy, partner) = (database.partner().await, database.partner().await);
    database.user(partner, "first@example.com").await;
    let lock = |partner| {
        let mut session = database.session();
        session.execute(&format!("BEGIN; SELECT FROM partners WHERE partner_id = '{partner}' FOR UPDATE"));
        session
    };
    let (mut one, mut two) = (lock(busy), lock(partner));
    let spawn = |partner, address: &str| -> Answer {
        let (store, change) = (database.store.clone(), database.build.registration(partner, address));
        tokio::spawn(async move { store.commit(change).await })
    };
    database.wait_until_idle();
    let blocked = spawn(busy, "blocked@example.com");
    settle().await;
    one.wait_for_waiters(1);
    let batch = ["john@example.com", "jane@example.com", "John@example.com"].map(|address| spawn(partner, address));
    settle().await;
    one.execute("COMMIT");
    blocked.await.expect("joins").expect("registered");
    two.wait_for_waiters(1);

    wire.cut_next_answer();
    two.execute("COMMIT");
    let [john, jane, again] = batch;
    let john = john.await.expect("joins").expect("registered");
    jane.await.expect("joins").expect("registered");
    assert_eq!(again.await.expect("joins"), Err(CommitError::email_taken(&john)));
    assert_eq!(wire.cuts(), 1);
    let batch = "FROM users WHERE email IN ('john@example.com', 'jane@example.com')";
    assert_eq!(database.sql.query(&format!("SELECT count(*), count(DISTINCT xmin::text) {batch}")), "2|1");
    entries_equal_changes(&database);
}

/// Its caller was told long ago that nobody knows what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_deadline_nothing_is_tried_again() {
    let server = private(&["log_statement=all"]);
    let patient = "&options=-c%20lock_timeout%3D0%20-c%20statement_timeout%3D0";
    let deadline = Duration::from_secs(2);
    let (database, wire) = wired(&server, patient, deadline).await;
    let partner = database.partner().await;
    database.user(partner, "first@example.com").await;
    let mut session = database.session();
    session.execute("BEGIN; SELECT FROM partners FOR UPDATE");
    database.wait_until_idle();
    let start = server.log().len();
    let (store, change) = (database.store.clone(), database.build.registration(partner, "john@example.com"));
    let late = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    let begun = Instant::now();
    let refused = late.await.expect("joins").expect_err("too late");
    assert!(matches!(&refused, CommitError::Store(error) if is_unavailable(error)), "{refused}");
    until("the deadline has passed", || begun.elapsed() > deadline);

    wire.cut_next_answer();
    session.execute("COMMIT");
    until("the answer is lost", || wire.cuts() == 1);
    // The same thread does this once it is done with that.
    let deadline = Instant::now() + Duration::from_mins(1);
    while database.store.commit(database.build.registration(partner, "next@example.com")).await.is_err() {
        assert!(Instant::now() < deadline, "the thread is free again");
    }
    super::statements::read_to_the_end(&server, &database.sql);
    assert_eq!(database.sql.query("SELECT count(*) FROM users WHERE email = 'john@example.com'"), "1");
    // A second attempt would have found the address taken, and asked by whom.
    let log = server.log().split_off(start);
    let asked: Vec<_> = log.iter().filter(|line| line.contains("JOIN audit_entries USING")).collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

/// What the first attempt did not achieve and the second one does, nobody is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_that_succeeds_asks_nothing_more() {
    let server = private(&["log_statement=all"]);
    let (database, _wire) = wired(&server, "", ample().deadline).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    super::statements::read_to_the_end(&server, &database.sql);
    let start = server.log().len();
    // Returns once they are gone.
    let end = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'signet'";
    database.sql.execute(end);
    database.user(partner, "john@example.com").await;
    super::statements::read_to_the_end(&server, &database.sql);
    let log = server.log().split_off(start);
    assert!(log.iter().any(|line| line.contains("set_config")), "on a fresh connection: {log:#?}");
    let asked: Vec<_> = log.iter().filter(|line| line.contains("JOIN audit_entries USING")).collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

/// Somebody gave the user another address in between: the second attempt finds that one free, and the id taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_second_attempt_breaks_a_constraint_is_recognised() {
    let server = private(&[]);
    let (database, wire) = wired(&server, "", ample().deadline).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    // Prepares the statement, so that the next answer is that to an execution.
    database.user(partner, "first@example.com").await;
    database.sql.execute(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION note_try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM nextval('tries'); RETURN NEW; END $$;
         CREATE TRIGGER note_try BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note_try();
         CREATE FUNCTION readdress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE users SET email = 'moved@example.com', email_key = 'moved@example.com'
                 WHERE partner_id = NEW.partner_id AND user_id = NEW.user_id;
             RETURN NULL; END $$;
         CREATE TRIGGER readdress AFTER INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION readdress()",
    );
    cut_next_answer(&database, &wire);
    database.user(partner, "john@example.com").await;
    assert_eq!(wire.cuts(), 1);
    assert_eq!(database.sql.query("SELECT last_value FROM tries"), "2", "the second one was refused");
    entries_equal_changes(&database);
}

/// The version that it wanted to make has an entry by then: that of another change.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_change_whose_answer_is_lost_is_stale_all_the_same() {
    let server = private(&[]);
    let (database, wire) = wired(&server, "", ample().deadline).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    let john = database.user(partner, "john@example.com").await;
    let late = database.build.renaming(&john, "Late");
    let jack = database.store.commit(database.build.renaming(&john, "Jack")).await.expect("renamed");
    cut_next_answer(&database, &wire);
    assert_eq!(database.store.commit(late).await, Err(CommitError::Stale));
    assert_eq!(wire.cuts(), 1);
    assert_eq!(database.find(partner, john.id).await, Ok(Some(jack)));
    entries_equal_changes(&database);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_answer_is_lost_is_recognised() {
    let server = private(&[]);
    let (database, wire) = wired(&server, "", ample().deadline).await;
    let partner = database.partner().await;
    database.wait_until_idle();
    let (first, second) = (database.build.api_key(partner), database.build.api_key(partner));
    // Prepares the statement, so that the next answer is that to an execution.
    assert_eq!(ApiKeyRepository::insert(&database.store, first.clone()).await, Ok(true));
    cut_next_answer(&database, &wire);
    assert_eq!(ApiKeyRepository::insert(&database.store, second.clone()).await, Ok(true));
    assert_eq!(wire.cuts(), 1);
    assert_eq!(ApiKeyRepository::list(&database.store, partner).await, Ok(vec![first, second]));
}

//! The database goes away, in all the ways it can, and comes back.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use signet_domain::{
    UserId,
    ports::{CommitError, PartnerRepository, StoreError, UserRepository},
};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::TestDatabase;

use crate::support::{Database, Wire, durable, is_unavailable, private};

/// What the service promises.
const PROMISE: Duration = Duration::from_secs(2);

async fn is_away(database: &Database) {
    let partner = database.build.partner().id;
    for round in 0..3 {
        let begin = Instant::now();
        let (found, committed, listed) = tokio::join!(
            database.find(partner, UserId::new(partner.uuid())),
            database.store.commit(database.build.registration(partner, "john@example.com")),
            database.list(partner),
        );
        assert!(begin.elapsed() < PROMISE, "round {round}: {:?}", begin.elapsed());
        assert!(found.as_ref().is_err_and(is_unavailable), "{found:?}");
        assert!(matches!(&committed, Err(CommitError::Store(error)) if is_unavailable(error)), "{committed:?}");
        assert!(listed.as_ref().is_err_and(is_unavailable), "{listed:?}");
    }
    assert!(database.store.ready().await.is_err());
}

async fn works(database: &Database) {
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    assert_eq!(database.find(partner, user.id).await, Ok(Some(user)));
    database.store.ready().await.expect("ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stopped_is_told_in_time_and_used_again_once_it_is_back() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    works(&database).await;
    server.stop();
    is_away(&database).await;
    server.start();
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_nobody_saw_fails_no_request() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    works(&database).await;
    let state = database.store.pool_state();
    assert_eq!(state.connections, state.limit);
    for _ in 0..2 {
        server.stop();
        server.start();
        works(&database).await;
    }
    database.sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signet'");
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_holds_nobody_past_the_deadline() {
    let server = private(&[]);
    let database = Database::on(&server).await;
    works(&database).await;
    server.freeze();
    is_away(&database).await;
    server.thaw();
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_that_dies_is_let_go() {
    let server = durable();
    let database = Database::on(&server).await;
    works(&database).await;
    server.freeze();
    is_away(&database).await;
    server.kill();
    server.start();
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_made_before_its_database_is_there() {
    let server = private(&[]);
    let sql = TestDatabase::create_on(&server);
    server.stop();
    let store = PostgresStore::connect(sql.url(), PostgresOptions::default()).expect("a URL");
    let refused = store.ready().await.expect_err("away");
    assert!(is_unavailable(&refused), "{refused}");
    let refused = store.migrate().await.expect_err("away");
    assert!(is_unavailable(&refused), "{refused}");
    server.start();
    store.migrate().await.expect("migrated");
    store.ready().await.expect("ready");
}

/// Registers without a pause while the server is killed, and compares with what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_acknowledged_registration() {
    let server = durable();
    let database = Database::on(&server).await;
    let partner = database.partner().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, build) = (database.store.clone(), database.build.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let change = build.registration(partner, &format!("{writer}.{number}@example.com"));
                    match store.commit(change).await {
                        Ok(user) => acknowledged.push(user.id.to_string()),
                        Err(CommitError::Store(error)) if is_unavailable(&error) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    while database.list(partner).await.expect("a list").total < 200 {}
    server.kill();
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("joins"));
    }
    server.start();
    works(&database).await;

    let stored = database.sql.query(&format!("SELECT user_id FROM users WHERE partner_id = '{partner}'"));
    let stored: HashSet<String> = stored.lines().map(str::to_owned).collect();
    assert!(acknowledged.len() >= 190, "{}", acknowledged.len());
    assert_eq!(acknowledged.difference(&stored).count(), 0, "acknowledged and lost");
    let mut session = database.session();
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), session.number("SELECT count(*) FROM users"));
    assert_eq!(session.number("SELECT count(*) FROM users"), session.number("SELECT sum(user_count) FROM partners"));
}

/// The answer to a commit gets lost, and the connection with it: the second attempt finds what the first one did.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_recognised() {
    let server = private(&[]);
    let sql = TestDatabase::create_on(&server);
    let wire = Wire::to(server.port());
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", wire.port, sql.name());
    let options = PostgresOptions { threads: 1, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&url, options).expect("a URL");
    store.migrate().await.expect("migrated");
    let database = Database { store, sql, build: signet_conformance::Builder::new(1) };
    let partner = database.partner().await;
    // Prepares the statements, so that the next answer is that to an execution.
    let user = database.user(partner, "first@example.com").await;
    let user = database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");

    wire.cut_next_answer();
    let john = database.user(partner, "john@example.com").await;
    assert_eq!(database.find(partner, john.id).await, Ok(Some(john.clone())));

    let warm = database.store.commit(database.build.renaming(&user, "Jim")).await.expect("renamed");
    wire.cut_next_answer();
    let renamed = database.store.commit(database.build.renaming(&warm, "Joe")).await.expect("renamed");
    assert_eq!(database.find(partner, user.id).await, Ok(Some(renamed)));

    // One that was not ours is still refused.
    wire.cut_next_answer();
    let taken = database.store.commit(database.build.registration(partner, "john@example.com")).await;
    assert_eq!(taken, Err(CommitError::EmailTaken { existing: john.id }));
    let mut session = database.session();
    assert_eq!(session.number("SELECT count(*) FROM users"), 2);
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), 5);

    wire.cut_next_answer();
    let other = database.build.partner();
    PartnerRepository::insert(&database.store, other.clone()).await.expect("inserted");
    assert_eq!(PartnerRepository::list(&database.store).await.expect("a list").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_is_given_up() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let mut session = database.session();
    session.execute("BEGIN; SELECT FROM partners FOR UPDATE");
    let begin = Instant::now();
    let refused = database.store.commit(database.build.registration(partner, "john@example.com")).await;
    assert!(begin.elapsed() < PROMISE, "{:?}", begin.elapsed());
    let expected = StoreError::Unavailable { reason: "canceling statement due to lock timeout".into() };
    assert_eq!(refused, Err(CommitError::Store(expected)));
    session.execute("COMMIT");
    works(&database).await;
}

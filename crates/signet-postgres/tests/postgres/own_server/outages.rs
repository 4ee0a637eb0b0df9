//! The database goes away, in all the ways it can, and comes back.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use signet_domain::{
    UserId,
    ports::{CommitError, Page, PartnerRepository, StoreError, UserRepository},
};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::{PostgresServer, TestDatabase};
use tokio::task::JoinSet;

use crate::support::{Database, MARGIN, ample, durable, is_unavailable, private};

/// With the deadline that the service keeps.
async fn in_time(server: &PostgresServer) -> Database {
    Database::with(TestDatabase::create_on(server), PostgresOptions::default()).await
}

async fn is_away(database: &Database) {
    let partner = database.build.partner().id;
    for round in 0..3 {
        let begin = Instant::now();
        let (found, committed, listed) = tokio::join!(
            database.find(partner, UserId::new(partner.uuid())),
            database.store.commit(database.build.registration(partner, "john@example.com")),
            database.list(partner),
        );
        let took = begin.elapsed();
        assert!(took < PostgresOptions::default().deadline + MARGIN, "round {round}: {took:?}");
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
    let database = in_time(&server).await;
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
    for _ in 0..2 {
        database.wait_until_idle();
        server.stop();
        server.start();
        works(&database).await;
    }
    database.wait_until_idle();
    database.sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signet'");
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_holds_nobody_past_the_deadline() {
    let server = private(&[]);
    let database = in_time(&server).await;
    works(&database).await;
    server.freeze();
    is_away(&database).await;
    server.thaw();
    works(&database).await;
}

/// What waits for a frozen database fills the queues, and must not hide that it is frozen.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_is_not_ready_however_much_waits_for_it() {
    let server = private(&[]);
    let options = PostgresOptions { queue: 4, deadline: Duration::from_secs(2), ..PostgresOptions::default() };
    let database = Database::with(TestDatabase::create_on(&server), options).await;
    let partner = database.build.partner().id;
    server.freeze();
    // The second time, the queues are full of those who gave up the first time.
    for _ in 0..2 {
        let (mut pages, mut look_ups) = (JoinSet::new(), JoinSet::new());
        for _ in 0..20 {
            let (store, other) = (database.store.clone(), database.store.clone());
            let page = Page::new(1, 0).expect("a page");
            pages.spawn(async move { UserRepository::list(&store, partner, page).await.map(drop) });
            look_ups.spawn(async move { PartnerRepository::list(&other).await.map(drop) });
        }
        // Whoever finds no place is answered first, and from then on the queue is full.
        for flood in [&mut pages, &mut look_ups] {
            let first = flood.join_next().await.expect("one of them").expect("joins");
            assert_eq!(first, Err(StoreError::Overloaded));
        }
        let ready = database.store.ready().await;
        assert!(ready.as_ref().is_err_and(is_unavailable), "{ready:?}");
        pages.join_all().await;
        look_ups.join_all().await;
    }
    server.thaw();
    let deadline = Instant::now() + Duration::from_mins(1);
    while database.store.ready().await.is_err() {
        assert!(Instant::now() < deadline, "it is back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_that_dies_is_let_go() {
    let server = durable();
    let database = in_time(&server).await;
    works(&database).await;
    server.freeze();
    is_away(&database).await;
    server.kill();
    server.start();
    works(&database).await;
}

/// Another server has taken over, and nothing tells the threads that wait for the frozen one.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_that_stays_so_is_left_for_another() {
    let (frozen, other) = (private(&[]), private(&[]));
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", frozen.port(), other.port());
    let options = PostgresOptions { deadline: Duration::from_millis(500), ..ample() };
    PostgresStore::connect(&other.url("postgres"), ample()).expect("a URL").migrate().await.expect("migrated");
    let store = PostgresStore::connect(&url, options).expect("a URL");
    let deadline = Instant::now() + Duration::from_mins(1);
    while store.migrate().await.is_err() {
        assert!(Instant::now() < deadline, "it takes connections");
    }
    let build = signet_conformance::Builder::new(1);
    PartnerRepository::insert(&store, build.partner()).await.expect("inserted in the first one");

    frozen.freeze();
    let deadline = Instant::now() + Duration::from_mins(1);
    while store.ready().await.is_err() {
        assert!(Instant::now() < deadline, "nobody goes to the other one");
    }
    // The one that writes was not stuck, and is another by now all the same.
    assert_eq!(PartnerRepository::list(&store).await.map(|partners| partners.len()), Ok(0));
    PartnerRepository::insert(&store, build.partner()).await.expect("inserted in the other one");
    frozen.thaw();
}

/// A server that takes connections and answers none of them would be given ever more threads.
#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_threads_are_left_to_a_database_that_answers_none() {
    let server = private(&[]);
    let options = PostgresOptions { deadline: Duration::from_millis(100), ..ample() };
    let database = Database::with(TestDatabase::create_on(&server), ample()).await;
    let name = database.sql.name();
    for timeout in ["statement_timeout", "lock_timeout"] {
        database.sql.execute(&format!("ALTER DATABASE {name} SET {timeout} = '1h'"));
    }
    let store = PostgresStore::connect(database.sql.url(), options).expect("a URL");
    let insert = async || PartnerRepository::insert(&store, database.build.partner()).await;
    let mut lock = database.session();
    let waiting = || {
        let counted =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        database.sql.query(counted).parse::<usize>().expect("a number")
    };
    // Those of the first time have come back, and do not count the second time.
    for _ in 0..2 {
        lock.execute("BEGIN; LOCK TABLE partners");
        let begun = Instant::now();
        while waiting() < 5 {
            assert!(insert().await.is_err_and(|error| is_unavailable(&error)));
            assert!(begun.elapsed() < Duration::from_mins(1), "no others take their place");
        }
        assert!(begun.elapsed() >= 4 * 4 * options.deadline, "slow is not stuck: {:?}", begun.elapsed());
        for _ in 0..10 {
            assert!(insert().await.is_err());
        }
        assert_eq!(waiting(), 5);
        lock.execute("ROLLBACK");
        let deadline = Instant::now() + Duration::from_mins(1);
        while insert().await.is_err() {
            assert!(Instant::now() < deadline, "they come back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_made_before_its_database_is_there() {
    let server = private(&[]);
    let sql = TestDatabase::create_on(&server);
    server.stop();
    let store = PostgresStore::connect(sql.url(), ample()).expect("a URL");
    let refused = store.ready().await.expect_err("away");
    assert!(is_unavailable(&refused), "{refused}");
    let refused = store.migrate().await.expect_err("away");
    assert!(is_unavailable(&refused), "{refused}");
    server.start();
    store.migrate().await.expect("migrated");
    store.ready().await.expect("ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_frozen_at_the_start_is_told() {
    let server = private(&[]);
    let sql = TestDatabase::create_on(&server);
    server.freeze();
    let options = PostgresOptions::default();
    let store = PostgresStore::connect(sql.url(), options).expect("a URL");
    let begin = Instant::now();
    let refused = store.migrate().await.expect_err("frozen");
    assert!(is_unavailable(&refused), "{refused}");
    assert!(begin.elapsed() < options.deadline + MARGIN, "{:?}", begin.elapsed());
    server.thaw();
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
    let deadline = Instant::now() + Duration::from_mins(1);
    while database.list(partner).await.expect("a list").total < 200 {
        assert!(Instant::now() < deadline, "they are slow");
    }
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

//! Somebody holds a lock and does not let go.

use std::time::{Duration, Instant};

use signet_domain::ports::{CommitError, StoreError, UserRepository};
use signet_postgres::PostgresOptions;
use signet_testkit::TestDatabase;
use tokio::task::JoinSet;

use crate::support::{Database, MARGIN};

/// With a margin for a busy machine: an eighth of it is the wait for a lock.
const DEADLINE: Duration = Duration::from_secs(6);

async fn database() -> Database {
    let options = PostgresOptions { deadline: DEADLINE, ..PostgresOptions::default() };
    Database::with(TestDatabase::create(), options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_never_released_is_given_up() {
    let database = database().await;
    let partner = database.partner().await;
    let mut session = database.session();
    session.execute("BEGIN; SELECT FROM partners FOR UPDATE");
    let begin = Instant::now();
    let refused = database.store.commit(database.build.registration(partner, "john@example.com")).await;
    assert!(begin.elapsed() < DEADLINE + MARGIN, "{:?}", begin.elapsed());
    let expected = StoreError::Unavailable { reason: "canceling statement due to lock timeout".into() };
    assert_eq!(refused, Err(CommitError::Store(expected)));
    session.execute("COMMIT");
    database.user(partner, "john@example.com").await;
}

/// However much one partner wants to write that it cannot, the others' writes are done, each within its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn one_partners_locked_row_leaves_the_others_served() {
    let database = database().await;
    let (locked, other) = (database.partner().await, database.partner().await);
    let user = database.user(other, "there@example.com").await;
    let mut session = database.session();
    session.execute(&format!("BEGIN; SELECT FROM partners WHERE partner_id = '{locked}' FOR UPDATE"));

    let mut flood = JoinSet::new();
    for number in 0..200 {
        let (store, change) =
            (database.store.clone(), database.build.registration(locked, &format!("{number}@example.com")));
        flood.spawn(async move { store.commit(change).await });
    }
    session.wait_for_waiters(1);
    for number in 0..2 {
        let begin = Instant::now();
        database.user(other, &format!("{number}@example.com")).await;
        let took = begin.elapsed();
        assert!(took < DEADLINE, "{took:?}");
    }
    database.store.commit(database.build.renaming(&user, "Jack")).await.expect("renamed");
    session.execute("COMMIT");
    for answer in flood.join_all().await {
        assert!(matches!(answer, Ok(_) | Err(CommitError::Store(StoreError::Unavailable { .. }))), "{answer:?}");
    }
}

/// Why it was not written is told as it is, and not as a dispute about the address, which is the user's own.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waits_in_vain_for_its_row_is_no_dispute_about_its_address() {
    let database = database().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    let mut session = database.session();
    session.execute("BEGIN; SELECT FROM users FOR UPDATE");
    let refused = database.store.commit(database.build.renaming(&user, "Jack")).await;
    let expected = StoreError::Unavailable { reason: "canceling statement due to lock timeout".into() };
    assert_eq!(refused, Err(CommitError::Store(expected)));
    session.execute("COMMIT");
    let renamed = database.store.commit(database.build.renaming(&user, "Jim")).await.expect("renamed");
    assert_eq!(database.find(partner, user.id).await, Ok(Some(renamed)));
}

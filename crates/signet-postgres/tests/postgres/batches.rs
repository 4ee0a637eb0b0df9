//! What is answered together is answered as if it had been answered alone.

use signet_domain::{
    Action, PartnerId, UserChange,
    ports::{CommitError, StoreError, UserRepository},
};
use tokio::task::JoinHandle;

use crate::support::Database;

pub type Answer = JoinHandle<Result<signet_domain::User, CommitError>>;

/// Has the only thread wait for a lock while `changes` are handed over, so that they are committed as one batch.
pub async fn together(database: &Database, changes: Vec<UserChange>) -> Vec<Result<signet_domain::User, CommitError>> {
    let busy = database.partner().await;
    let mut session = database.session();
    session.execute(&format!("BEGIN; SELECT FROM partners WHERE partner_id = '{busy}' FOR UPDATE"));
    let spawn = |change: UserChange| -> Answer {
        let store = database.store.clone();
        tokio::spawn(async move { store.commit(change).await })
    };
    let blocked = spawn(database.build.registration(busy, "blocked@example.com"));
    settle().await;
    session.wait_for_waiters(1);
    let answers: Vec<Answer> = changes.into_iter().map(spawn).collect();
    settle().await;
    session.execute("COMMIT");
    blocked.await.expect("joins").expect("registered");
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.expect("joins"));
    }
    outcomes
}

/// Lets the other tasks of this thread go on until all they do is wait.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub fn entries_equal_changes(database: &Database) {
    let mut session = database.session();
    let versions = session.number("SELECT coalesce(sum(version), 0) FROM users");
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), versions);
    assert_eq!(session.number("SELECT count(*) FROM users"), session.number("SELECT sum(user_count) FROM partners"));
    let gaps =
        "SELECT count(*) FROM (SELECT max(ordinal) <> count(*) AS gap FROM users GROUP BY partner_id) AS p WHERE gap";
    assert_eq!(session.number(gaps), 0);
}

#[tokio::test]
async fn a_batch_of_registrations_keeps_its_order_and_its_first_of_an_address() {
    let database = Database::single().await;
    let (one, two) = (database.partner().await, database.partner().await);
    let changes: Vec<UserChange> = [(one, "a"), (two, "a"), (one, "b"), (one, "A"), (two, "c"), (one, "d")]
        .map(|(partner, name)| database.build.registration(partner, &format!("{name}@example.com")))
        .into();
    let expected: Vec<_> = changes.iter().map(|change| change.user.clone()).collect();

    let outcomes = together(&database, changes).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        if index == 3 {
            assert_eq!(*outcome, Err(CommitError::email_taken(&expected[0])));
        } else {
            assert_eq!(outcome.as_ref(), Ok(&expected[index]));
        }
    }
    let page = database.list(one).await.expect("a list");
    let expected = [0, 2, 5].map(|index: usize| expected[index].clone());
    assert_eq!((page.users, page.total), (expected.to_vec(), 3));
    // One transaction made them all, or this would prove nothing about batches.
    let transactions = "SELECT count(DISTINCT xmin::text) FROM users WHERE email <> 'blocked@example.com'";
    assert_eq!(database.session().number(transactions), 1);
    entries_equal_changes(&database);
}

#[tokio::test]
async fn a_member_that_the_database_refuses_harms_no_other() {
    let database = Database::single().await;
    let partner = database.partner().await;
    let there = database.build.registration(partner, "there@example.com");
    database.store.commit(there.clone()).await.expect("registered");
    // The same id once more under another address breaks the primary key, and with it the statement of the batch.
    let mut poisoned = database.build.registration(partner, "poison@example.com");
    poisoned.user =
        signet_domain::User::from_stored(signet_domain::UserState { id: there.user.id, ..(*poisoned.user).clone() })
            .expect("valid");
    // Refused by the last part of its statement: the user has to go as well.
    let mut unaudited = database.build.registration(partner, "unaudited@example.com");
    unaudited.audit.action = Action::Updated;
    let changes = vec![
        database.build.registration(partner, "one@example.com"),
        poisoned,
        database.build.registration(partner, "two@example.com"),
        database.build.registration(PartnerId::new(there.user.id.uuid()), "nobody@example.com"),
        unaudited,
        database.build.registration(database.partner().await, "other@example.com"),
    ];
    let outcomes = together(&database, changes).await;
    assert!([0, 2, 5].into_iter().all(|index| outcomes[index].is_ok()), "{outcomes:?}");
    for index in [1, 3, 4] {
        let refused = &outcomes[index];
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Unexpected { .. }))), "{refused:?}");
    }
    assert_eq!(database.sql.query("SELECT count(*) FROM users WHERE email = 'unaudited@example.com'"), "0");
    entries_equal_changes(&database);
}

#[tokio::test]
async fn of_a_batch_of_updates_each_is_judged_by_itself() {
    let database = Database::single().await;
    let partner = database.partner().await;
    let one = database.user(partner, "one@example.com").await;
    let two = database.user(partner, "two@example.com").await;
    let three = database.user(partner, "three@example.com").await;
    let changes = vec![
        database.build.renaming(&one, "One"),
        database.build.renaming(&one, "Uno"),
        database.build.readdressing(&two, "three@example.com"),
        database.build.removal(&three),
    ];
    let outcomes = together(&database, changes).await;
    let won = outcomes[..2].iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "{outcomes:?}");
    assert!(outcomes[..2].contains(&Err(CommitError::Stale)), "{outcomes:?}");
    assert_eq!(outcomes[2], Err(CommitError::email_taken(&three)));
    assert!(outcomes[3].is_ok(), "{outcomes:?}");
    entries_equal_changes(&database);
}

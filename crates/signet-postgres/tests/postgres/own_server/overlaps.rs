//! Batches that want the same rows at the same time.

use std::collections::HashSet;

use signet_domain::ports::{CommitError, UserRepository};
use signet_postgres::PostgresStore;

use super::statements::read_to_the_end;
use crate::{
    batches::{Answer, entries_equal_changes},
    support::{Database, ample, private},
};

/// Overlapping batches from two stores, hence four connections each, over the same few users and addresses.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches_never_lock_each_other_out() {
    // A deadlock would be found long before anybody's patience with a lock ends.
    let server = private(&["deadlock_timeout=10ms"]);
    let database = Database::on(&server).await;
    let other = PostgresStore::connect(database.sql.url(), ample()).expect("a URL");
    let partners = [database.partner().await, database.partner().await, database.partner().await];
    let mut users = Vec::new();
    for partner in partners {
        for number in 0..8 {
            users.push(database.user(partner, &format!("{number}@example.com")).await);
        }
    }
    let mut answers: Vec<Answer> = Vec::new();
    for round in 0..40 {
        for (number, user) in users.iter().enumerate() {
            let store = if (round + number) % 2 == 0 { database.store.clone() } else { other.clone() };
            let change = if round % 4 == 0 {
                database.build.registration(user.partner_id, &format!("{round}.{number}@example.com"))
            } else {
                database.build.renaming(user, &format!("{round}"))
            };
            answers.push(tokio::spawn(async move { store.commit(change).await }));
        }
    }
    let mut failures = HashSet::new();
    let (mut committed, mut stale) = (0, 0);
    for answer in answers {
        match answer.await.expect("joins") {
            Ok(_) => committed += 1,
            Err(CommitError::Stale) => stale += 1,
            Err(error) => drop(failures.insert(error.to_string())),
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    // All registrations and, of each user, one of the changes to its first version.
    assert_eq!((committed, stale), (10 * 24 + 24, 30 * 24 - 24));
    entries_equal_changes(&database);
    read_to_the_end(&server, &database.sql);
    for unwanted in ["deadlock detected", "lock timeout"] {
        let found: Vec<String> = server.log().into_iter().filter(|line| line.contains(unwanted)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

//! Batches that want the same rows at the same time.

use std::collections::HashSet;

use futures_util::future::join_all;
use signet_domain::{
    User, UserChange,
    ports::{CommitError, UserRepository},
};
use signet_postgres::PostgresStore;
use signet_testkit::PostgresServer;

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
    nobody_was_locked_out(&server, &database);
}

fn nobody_was_locked_out(server: &PostgresServer, database: &Database) {
    read_to_the_end(server, &database.sql);
    for unwanted in ["deadlock detected", "lock timeout"] {
        let found: Vec<String> = server.log().into_iter().filter(|line| line.contains(unwanted)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Two stores that give the same addresses to users of their own and to new ones, and rename the same users, each in the
/// opposite order: whatever they hold against each other, each address and each name has one winner, and whoever loses
/// is told so, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn opposite_batches_over_the_same_addresses_have_one_winner_each() {
    const ROUNDS: usize = 12;
    const USERS: usize = 6;
    // A deadlock would be found long before anybody's patience with a lock ends.
    let server = private(&["deadlock_timeout=10ms"]);
    let database = Database::on(&server).await;
    let stores = [database.store.clone(), PostgresStore::connect(database.sql.url(), ample()).expect("a URL")];
    let partners = [database.partner().await, database.partner().await];
    // Each store's own, and at last those that both rename.
    let mut users: [Vec<User>; 3] = Default::default();
    for (group, users) in users.iter_mut().enumerate() {
        for number in 0..USERS {
            for partner in partners {
                users.push(database.user(partner, &format!("{group}.{number}@example.com")).await);
            }
        }
    }
    let (mut won, mut failures) = (0, HashSet::new());
    for round in 0..ROUNDS {
        let mut batches = Vec::new();
        for (number, store) in stores.iter().cloned().enumerate() {
            let mut changes: Vec<UserChange> = Vec::new();
            for (position, own) in users[number].iter().enumerate() {
                let mirrored = if number == 0 { position } else { 2 * USERS - 1 - position };
                let address = format!("{round}.wanted.{}@example.com", mirrored / 2);
                changes.push(database.build.readdressing(own, &address));
                changes.push(database.build.registration(own.partner_id, &address));
                changes.push(database.build.renaming(&users[2][mirrored], &format!("{round} by {number}")));
            }
            batches.push(tokio::spawn(async move {
                join_all(changes.into_iter().map(|change| store.commit(change))).await
            }));
        }
        for batch in batches {
            for answer in batch.await.expect("joins") {
                match answer {
                    Ok(_) => won += 1,
                    Err(CommitError::Stale | CommitError::EmailTaken { .. }) => {}
                    Err(error) => drop(failures.insert(error.to_string())),
                }
            }
        }
        for user in users.iter_mut().flatten() {
            *user = database.find(user.partner_id, user.id).await.expect("an answer").expect("the user");
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(won, ROUNDS * 2 * USERS * 2, "an address and a name for each user of both partners");
    entries_equal_changes(&database);
    nobody_was_locked_out(&server, &database);
}

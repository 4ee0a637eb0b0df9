//! Commits that wait together share a transaction, and nothing else.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use signet_domain::{
    User, UserChange,
    ports::{AuditFilter, AuditTrail, CommitError, IdGenerator, Page, StoreError, UserRepository},
};
use signet_sqlite::SqliteStore;

use crate::support::{File, lines};

/// Commits all changes while somebody else holds the lock, so that they wait and are taken together.
async fn commit_together(store: &SqliteStore, file: &File, changes: Vec<UserChange>) -> Vec<Result<User, CommitError>> {
    let mut other = file.connect();
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let mut commits: Vec<_> = changes.into_iter().map(|change| store.commit(change)).collect();
    // Each is polled once, which puts it into the queue.
    for commit in &mut commits {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context).is_pending()));
        assert!(polled.await, "waits for the lock");
    }
    other.batch_execute("ROLLBACK").expect("the lock is free");
    let mut outcomes = Vec::new();
    for commit in commits {
        outcomes.push(commit.await);
    }
    outcomes
}

/// How many transactions the log holds: each ends with a frame that tells the size of the database, and no other does
/// (<https://www.sqlite.org/fileformat.html#the_write_ahead_log>).
fn transactions(file: &File) -> usize {
    let log = std::fs::read(format!("{}-wal", file.path().display())).expect("a log");
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
    let page = usize::try_from(number(&log[8..])).expect("fits");
    let salts = &log[16..24];
    log[32..].chunks_exact(24 + page).filter(|frame| &frame[8..16] == salts && number(&frame[4..]) != 0).count()
}

#[tokio::test]
async fn those_who_wait_together_share_a_transaction() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let before = transactions(&file);
    store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    assert_eq!(transactions(&file), before + 1, "one by itself");

    let changes = (0..30).map(|number| build.registration(partner_id, &format!("user{number}@example.com"))).collect();
    let outcomes = commit_together(&store, &file, changes).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    // The thread had taken the first, which waited for the lock, before the others came.
    let shared = transactions(&file) - before - 1;
    assert!((1..=2).contains(&shared), "{shared} transactions");
}

/// Batches form by themselves, of what is asked in one turn of the event loop. One transaction, and another where the
/// thread was not asleep and took the first alone; the margin is for a machine that stops us in between.
#[tokio::test]
async fn what_is_asked_in_one_turn_shares_a_transaction() {
    const MEMBERS: usize = 40;
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let before = transactions(&file);
    let changes = (0..MEMBERS).map(|number| build.registration(partner_id, &format!("user{number}@example.com")));
    let outcomes = join_all(changes.map(|change| store.commit(change))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let shared = transactions(&file) - before;
    assert!((1..=MEMBERS / 8).contains(&shared), "{shared} transactions");
}

#[tokio::test]
async fn each_member_of_a_batch_gets_its_own_outcome() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let stale = build.renaming(&john, "Stale");
    let changes = vec![
        build.registration(partner_id, "a@example.com"),
        build.registration(partner_id, "A@example.com"),
        build.renaming(&john, "Johnny"),
        stale,
        build.registration(partner_id, "b@example.com"),
        build.registration(partner_id, "john@example.com"),
    ];
    let expected = vec![
        Ok(changes[0].user.clone()),
        Err(CommitError::email_taken(&changes[0].user)),
        Ok(changes[2].user.clone()),
        Err(CommitError::Stale),
        Ok(changes[4].user.clone()),
        Err(CommitError::email_taken(&john)),
    ];
    assert_eq!(commit_together(&store, &file, changes).await, expected);
    let page = store.list(partner_id, Page::new(100, 0).expect("a page")).await.expect("an answer");
    assert_eq!(page.total, 3);
    let trail = store.entries(partner_id, AuditFilter::default(), None, 100).await;
    assert_eq!(trail.expect("an answer").len(), 4);
}

#[tokio::test]
async fn a_member_that_breaks_a_statement_breaks_alone() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let mut changes: Vec<_> =
        (0..20).map(|number| build.registration(partner_id, &format!("user{number}@example.com"))).collect();
    let nowhere = build.ids.partner_id();
    changes[7] = build.registration(nowhere, "user7@example.com");
    // Refused by the last statement of its change: what the first ones wrote has to go as well.
    changes[13].audit.version = changes[13].audit.version.next();
    let outcomes = commit_together(&store, &file, changes.clone()).await;
    for (number, (outcome, change)) in outcomes.iter().zip(&changes).enumerate() {
        match number {
            7 | 13 => assert!(matches!(outcome, Err(CommitError::Store(StoreError::Unexpected { .. }))), "{outcome:?}"),
            _ => assert_eq!(outcome.as_ref(), Ok(&change.user)),
        }
    }
    let page = store.list(partner_id, Page::new(100, 0).expect("a page")).await.expect("an answer");
    let committed = [&changes[..7], &changes[8..13], &changes[14..]].concat();
    assert_eq!(page.users, committed.into_iter().map(|change| change.user).collect::<Vec<_>>());
    assert_eq!(page.total, 18);
}

#[tokio::test]
async fn a_holder_that_cannot_be_told_fails_whoever_wants_its_address_alone() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    let unchecked = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF";
    let mut other = file.connect();
    other.batch_execute(&format!("{unchecked}; UPDATE users SET user_id = x'00'")).expect("corrupted");
    let changes = ["jane@example.com", "john@example.com", "jim@example.com"];
    let changes: Vec<_> = changes.map(|address| build.registration(partner_id, address)).into();
    let refused = StoreError::Corrupt { table: "users", column: "user_id", key: format!("{partner_id}/?") };
    let expected = [Ok(changes[0].user.clone()), Err(CommitError::Store(refused)), Ok(changes[2].user.clone())];
    assert_eq!(commit_together(&store, &file, changes).await, expected);
}

#[tokio::test]
async fn the_log_of_a_busy_file_stays_small() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let metadata = signet_conformance::metadata(&serde_json::json!({ "a": "x".repeat(16_000) }));
    for round in 0..40 {
        let changes = (0..25).map(|number| {
            let (id, context) = (build.ids.user_id(), build.context(partner_id));
            let address = signet_conformance::email(&format!("user{round}-{number}@example.com"));
            let name = signet_conformance::name("John Doe");
            store.commit(User::register(id, name, address, metadata.clone(), context))
        });
        for commit in changes.collect::<Vec<_>>() {
            commit.await.expect("registered");
        }
    }
    let size = |suffix: &str| {
        let path = format!("{}{suffix}", file.path().display());
        std::fs::metadata(path).expect("a file").len()
    };
    assert!(size("") > 24 << 20, "checkpoints move what was written into the file");
    // It is copied back once it has 16 MiB, at the end of the transaction that fills them.
    assert!(size("-wal") < 20 << 20, "{} bytes", size("-wal"));
    assert_eq!(lines(&mut file.connect(), "SELECT integrity_check AS line FROM pragma_integrity_check"), ["ok"]);
}

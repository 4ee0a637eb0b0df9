//! No answer is ever "database is locked".

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use signet_domain::ports::{CommitError, Page, PartnerRepository, StoreError, UserRepository};
use signet_sqlite::{SqliteOptions, SqliteStore};

use crate::support::File;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_writes_of_four_processes_all_succeed() {
    let (first, file, build, partner_id) = File::with_a_partner().await;
    // Each store has connections and a writer of its own, as another process would have.
    let patient = SqliteOptions { deadline: Duration::from_mins(1), ..SqliteOptions::default() };
    let page = Page::new(1, 0).expect("a page");
    let mut writers = Vec::new();
    for process in 0..4 {
        let (store, build) = (file.open(patient), build.clone());
        // One after the other, so that each is a transaction of its own.
        writers.push(tokio::spawn(async move {
            for number in 0..100 {
                let address = format!("user{process}-{number}@example.com");
                let user = store.commit(build.registration(partner_id, &address)).await?;
                UserRepository::list(&store, partner_id, page).await?;
                store.commit(build.renaming(&user, "Johnny")).await?;
            }
            Ok::<_, CommitError>(())
        }));
    }
    for writer in writers {
        writer.await.expect("no panic").expect("committed");
    }
    assert_eq!(UserRepository::list(&first, partner_id, page).await.expect("an answer").total, 400);
}

#[tokio::test]
async fn a_commit_waits_for_another_process_until_the_deadline_and_readers_do_not_wait() {
    let (_, file, build, partner_id) = File::with_a_partner().await;
    let store = file.open(SqliteOptions { deadline: Duration::from_millis(300), ..SqliteOptions::default() });
    let mut other = file.connect();
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");

    let registration = build.registration(partner_id, "john@example.com");
    let start = Instant::now();
    let outcome = store.commit(registration.clone()).await;
    let Err(CommitError::Store(StoreError::Unavailable { reason })) = outcome else { panic!("{outcome:?}") };
    assert!(["no answer before the deadline", "another process is writing"].contains(&&*reason), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(UserRepository::find(&store, partner_id, registration.user.id).await, Ok(None));
    assert_eq!(store.ready().await, Ok(()));

    other.batch_execute("ROLLBACK").expect("the lock is free");
    // The writer may still be at the commit that nobody waits for any more.
    let jane = build.registration(partner_id, "jane@example.com");
    assert_eq!(store.commit(jane.clone()).await.as_ref(), Ok(&jane.user));
}

#[tokio::test]
async fn a_reader_in_the_middle_of_its_work_holds_up_no_commit() {
    let (store, file, build, partner_id) = File::with_a_partner().await;
    let mut other = file.connect();
    other.batch_execute("BEGIN; SELECT count(*) FROM users").expect("a snapshot");
    for number in 0..20 {
        let registration = build.registration(partner_id, &format!("user{number}@example.com"));
        store.commit(registration).await.expect("committed");
    }
}

#[tokio::test]
async fn who_changes_nothing_needs_no_lock() {
    let (_, file, _, partner_id) = File::with_a_partner().await;
    let mut other = file.connect();
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let store = file.open(SqliteOptions { deadline: Duration::from_millis(100), ..SqliteOptions::default() });
    assert_eq!(store.migrate().await.map(|it| it.applied), Ok(0), "nothing is pending");
    let partners = PartnerRepository::list(&store).await.expect("an answer");
    assert_eq!(partners.into_iter().map(|partner| partner.id).collect::<Vec<_>>(), [partner_id]);
}

#[tokio::test]
async fn a_migration_waits_longer_than_a_caller() {
    let file = File::new();
    let store = file.open(SqliteOptions { deadline: Duration::from_millis(50), ..SqliteOptions::default() });
    let beside = file.open(SqliteOptions { deadline: Duration::from_millis(300), ..SqliteOptions::default() });
    let mut other = file.connect();
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let migrating = tokio::spawn(async move { store.migrate().await });
    let impatient = PartnerRepository::insert(&beside, signet_conformance::Builder::new(1).partner()).await;
    assert!(matches!(impatient, Err(StoreError::Unavailable { .. })), "{impatient:?}");
    other.batch_execute("ROLLBACK").expect("the lock is free");
    assert!(migrating.await.expect("no panic").expect("migrated").applied > 0);
}

#[test]
fn a_file_that_somebody_holds_is_said_to_be_held() {
    let file = File::new();
    let mut other = file.connect();
    other.batch_execute("CREATE TABLE other (a TEXT); BEGIN EXCLUSIVE").expect("the lock");
    let impatient = SqliteOptions { deadline: Duration::from_millis(50), ..SqliteOptions::default() };
    let refused = SqliteStore::open(file.path().to_str().expect("UTF-8"), impatient).expect_err("held");
    let path = file.path();
    assert_eq!(
        refused.to_string(),
        format!("cannot open the SQLite database {}: another process is writing", path.display())
    );
}

//! Two sessions, of which one decides first: what the other's statement makes of it once it has the lock.

use signet_domain::ports::{CommitError, StoreError, UserRepository};

use crate::support::{Database, Session};

/// Registers a user by hand and keeps the transaction open.
fn hold_a_registration(session: &mut Session, partner: &str, user: &str, address: &str) {
    session.execute(&format!(
        "BEGIN; UPDATE partners SET user_count = user_count + 1 WHERE partner_id = '{partner}';
         INSERT INTO users SELECT partner_id, '{user}', user_count, 'Jane', '{address}', '{address}', 'active', '{{}}',
             now(), now(), NULL, 1 FROM partners WHERE partner_id = '{partner}'"
    ));
}

const JANE: &str = "00000000-0000-7000-8000-00000000000a";

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_waited_is_numbered_after_the_one_it_waited_for() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let mut session = database.session();
    hold_a_registration(&mut session, &partner.to_string(), JANE, "jane@example.com");

    let (store, change) = (database.store.clone(), database.build.registration(partner, "john@example.com"));
    let waiting = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    session.execute("COMMIT");

    let john = waiting.await.expect("joins").expect("registered");
    let page = database.list(partner).await.expect("a list");
    assert_eq!(page.total, 2);
    assert_eq!(page.users.iter().map(|user| user.id.to_string()).collect::<Vec<_>>(), [JANE, &john.id.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_taken_while_waiting_belongs_to_whoever_took_it() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let mut session = database.session();
    hold_a_registration(&mut session, &partner.to_string(), JANE, "jane@example.com");

    let (store, change) = (database.store.clone(), database.build.registration(partner, "Jane@Example.com"));
    let waiting = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    session.execute("COMMIT");

    let refused = waiting.await.expect("joins").expect_err("taken");
    assert!(matches!(refused, CommitError::EmailTaken { holder, .. } if holder.id.to_string() == JANE), "{refused}");
    assert_eq!(session.number("SELECT user_count FROM partners"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_given_back_while_waiting_is_free() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let mut session = database.session();
    hold_a_registration(&mut session, &partner.to_string(), JANE, "jane@example.com");

    let (store, change) = (database.store.clone(), database.build.registration(partner, "jane@example.com"));
    let waiting = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    session.execute("ROLLBACK");

    waiting.await.expect("joins").expect("registered");
    assert_eq!(session.number("SELECT user_count FROM partners"), 1);
    assert_eq!(session.number("SELECT max(ordinal) FROM users"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waited_for_a_newer_version_is_stale() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    let mut session = database.session();
    session.execute("BEGIN; UPDATE users SET version = 2, name = 'Jim'");

    let (store, change) = (database.store.clone(), database.build.renaming(&user, "Jack"));
    let waiting = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    session.execute("COMMIT");

    assert_eq!(waiting.await.expect("joins"), Err(CommitError::Stale));
    assert_eq!(database.sql.query("SELECT name, version FROM users"), "Jim|2");
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_to_an_address_taken_meanwhile_tells_its_owner() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    let mut session = database.session();
    hold_a_registration(&mut session, &partner.to_string(), JANE, "jane@example.com");

    let (store, change) = (database.store.clone(), database.build.readdressing(&user, "jane@example.com"));
    let waiting = tokio::spawn(async move { store.commit(change).await });
    session.wait_for_waiters(1);
    session.execute("COMMIT");

    let refused = waiting.await.expect("joins").expect_err("taken");
    assert!(matches!(refused, CommitError::EmailTaken { holder, .. } if holder.id.to_string() == JANE), "{refused}");
    assert_eq!(session.number("SELECT count(*) FROM audit_entries"), 1);
}

/// Has whatever does that to a user lose its address to somebody who gives it up at once, and counts in `tries`: a
/// sequence counts on where its transaction is rolled back.
fn lose(database: &Database, event: &str) {
    database.sql.execute(&format!(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM nextval('tries');
             RAISE unique_violation USING CONSTRAINT = 'users_email_key_unique';
         END $$;
         CREATE TRIGGER lose BEFORE {event} ON users FOR EACH ROW EXECUTE FUNCTION lose()"
    ));
}

/// Whoever took the address is seen in the next snapshot. Where nobody is, time and again, the registration is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_loses_its_address_to_nobody_is_tried_three_times() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    lose(&database, "INSERT");
    let refused = database.store.commit(database.build.registration(partner, "john@example.com")).await;
    let reason = "UniqueViolation users_email_key_unique".to_owned();
    assert_eq!(refused, Err(CommitError::Store(StoreError::Unexpected { reason })));
    assert_eq!(database.sql.query("SELECT last_value FROM tries"), "3");
}

/// What becomes of an update has to be decided anew then.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_loses_its_address_to_nobody_is_stale_after_three_tries() {
    let database = Database::migrated().await;
    let partner = database.partner().await;
    let user = database.user(partner, "john@example.com").await;
    lose(&database, "UPDATE");
    let refused = database.store.commit(database.build.readdressing(&user, "jane@example.com")).await;
    assert_eq!(refused, Err(CommitError::Stale));
    assert_eq!(database.sql.query("SELECT last_value FROM tries"), "3");
}

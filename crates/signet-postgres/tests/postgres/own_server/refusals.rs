//! What a refusal leaves in the log of the server.

use signet_domain::ports::{CommitError, UserRepository};
use signet_postgres::PostgresOptions;
use signet_testkit::TestDatabase;

use super::statements::read_to_the_end;
use crate::{
    batches::{entries_equal_changes, together},
    support::{Database, ample, private},
};

/// An error of the server would have a line of its log name the address (`DETAIL: Key (partner_id, email_key)=(…)`), and
/// have the whole batch done again, one by one.
#[tokio::test]
async fn a_taken_address_is_no_error_of_the_server() {
    let server = private(&[]);
    let database = Database::with(TestDatabase::create_on(&server), PostgresOptions { threads: 1, ..ample() }).await;
    let partner = database.partner().await;
    let mut users = Vec::new();
    for name in ["john", "mary", "paul", "jill", "eric", "anna"] {
        users.push(database.user(partner, &format!("{name}@example.com")).await);
    }
    let [john, mary, paul, jill, eric, _anna] = &users[..] else { panic!("six users") };
    let build = &database.build;
    let changes = vec![
        build.renaming(john, "Johnny"),
        build.readdressing(mary, "John@example.com"),
        build.readdressing(mary, "marie@example.com"),
        build.readdressing(paul, "free@example.com"),
        build.readdressing(jill, "FREE@example.com"),
        build.readdressing(eric, "erica@example.com"),
        build.readdressing(eric, "anna@example.com"),
        build.readdressing(jill, "eric@example.com"),
    ];
    let outcomes = together(&database, changes).await;
    let taken = |by: &signet_domain::User| Some(CommitError::email_taken(by));
    let refusals: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().err().cloned()).collect();
    // Whoever has changed already has another version, whatever else there is to say.
    assert_eq!(refusals, [None, taken(john), None, None, taken(paul), None, Some(CommitError::Stale), None]);
    let registration = build.registration(partner, "JOHN@example.com");
    assert_eq!(database.store.commit(registration).await.err(), taken(john));
    let rest = database.build.readdressing(eric, "john@example.com");
    assert_eq!(database.store.commit(rest).await.err(), Some(CommitError::Stale));
    let transactions = "SELECT count(DISTINCT xmin::text) FROM users WHERE version = 2";
    assert_eq!(database.session().number(transactions), 3, "cut where somebody wants what another one got or gave up");
    entries_equal_changes(&database);

    read_to_the_end(&server, &database.sql);
    let told = server.log().into_iter().filter(|line| line.contains("@example.com") || line.contains("ERROR"));
    assert_eq!(told.collect::<Vec<_>>(), [""; 0]);
}

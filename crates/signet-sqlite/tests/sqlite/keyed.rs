//! Every statement of a store says whose rows it is about, as Diesel is seen to begin it: in all tests of this program,
//! and so in those of the whole contract.

use std::{sync::Once, thread};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use signet_domain::{
    Action,
    ports::{ApiKeyRepository, AuditFilter, AuditTrail, KeyLookup, Page, PartnerRepository, UserRepository},
};
use signet_testkit::{Statements, Watch};

use crate::support::File;

/// What belongs to a partner, the partner itself included.
const TABLES: [&str; 4] = ["partners", "api_keys", "users", "audit_entries"];

/// What is about no partner in particular.
const EXCEPTIONS: [(&str, &str); 4] = [
    (
        "FROM (api_keys INNER JOIN partners ON (partners.partner_id = api_keys.partner_id)) \
         WHERE (api_keys.key_id = ?)",
        "a request brings the id of a key, and whose it is has to be found out",
    ),
    (
        "UPDATE api_keys SET revoked_at = ? WHERE ((api_keys.key_id = ?) AND (api_keys.revoked_at IS NULL))",
        "an operator revokes a key by its id",
    ),
    ("FROM api_keys WHERE (api_keys.key_id = ?) LIMIT ?", "and is shown whose it was"),
    (
        "FROM partners ORDER BY partners.created_at, partners.partner_id",
        "an operator lists the partners, and `signet verify` goes through them",
    ),
];

static STATEMENTS: Statements = Statements::new(&TABLES, "partner_id", &EXCEPTIONS);

/// Has whatever a store begins looked at, from now on.
pub fn watch() -> Watch {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        let look =
            || -> Option<Box<dyn Instrumentation>> { Some(Box::new(|event: InstrumentationEvent<'_>| look(&event))) };
        set_default_instrumentation(look).expect("no panic");
    });
    STATEMENTS.watch()
}

/// The threads of stores alone: what a test does beside them is its own affair.
fn look(event: &InstrumentationEvent<'_>) {
    if let InstrumentationEvent::StartQuery { query, .. } = event
        && thread::current().name().is_some_and(|name| name.starts_with("sqlite-"))
    {
        let text = query.to_string();
        STATEMENTS.note(text.split(" -- binds:").next().unwrap_or_default());
    }
}

/// Or all that is said here would be said of nothing.
#[tokio::test]
async fn every_statement_of_every_port_is_looked_at() {
    let (store, _file, build, partner_id) = File::with_a_partner().await;
    PartnerRepository::list(&store).await.expect("a list");
    for disabled_at in [Some(build.clock.advance(1)), None] {
        PartnerRepository::set_disabled(&store, partner_id, disabled_at).await.expect("an answer");
    }
    let key = build.api_key(partner_id);
    ApiKeyRepository::insert(&store, key.clone()).await.expect("inserted");
    ApiKeyRepository::list(&store, partner_id).await.expect("a list");
    ApiKeyRepository::find(&store, key.id.clone(), KeyLookup::FirstUse).await.expect("an answer");
    ApiKeyRepository::revoke(&store, key.id, key.created_at).await.expect("revoked");
    let john = store.commit(build.registration(partner_id, "john@example.com")).await.expect("registered");
    store.commit(build.renaming(&john, "Johnny")).await.expect("committed");
    UserRepository::find(&store, partner_id, john.id).await.expect("an answer");
    UserRepository::list(&store, partner_id, Page::new(1, 0).expect("a page")).await.expect("a list");
    let filter = AuditFilter { user_id: Some(john.id), action: Some(Action::Registered) };
    store.entries(partner_id, filter, None, 10).await.expect("a trail");

    let seen = STATEMENTS.seen();
    for part in [
        "INSERT INTO partners (partner_id, ",
        "UPDATE partners SET disabled_at = ",
        "UPDATE partners SET user_count = ",
        "INSERT INTO api_keys (partner_id, ",
        "FROM api_keys WHERE (api_keys.partner_id = ?) ORDER BY ",
        "INSERT INTO users (partner_id, ",
        "UPDATE users SET name = ",
        "INSERT INTO audit_entries (partner_id, ",
        "SELECT users.partner_id, users.user_id, users.status, users.removed_at FROM users WHERE ((users.partner_id = ?) AND (users.email_key = ?))",
        "FROM users WHERE ((users.partner_id = ?) AND (users.user_id = ?))",
        "FROM (partners LEFT OUTER JOIN users ON ((users.partner_id = partners.partner_id) AND ",
        "FROM audit_entries WHERE partner_id = ? AND user_id = ?",
    ] {
        assert!(seen.iter().any(|statement| statement.contains(part)), "{part}: {seen:#?}");
    }
    assert_eq!(STATEMENTS.unneeded(), [], "{seen:#?}");
    // What letters are the same is a rule of the domain; databases have others.
    let folds =
        |statement: &&String| [" LIKE ", "LOWER(", "UPPER("].iter().any(|it| statement.to_uppercase().contains(it));
    assert_eq!(seen.iter().find(folds), None);
}

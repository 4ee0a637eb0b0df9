//! How often a use case crosses the network, as the server itself logs it.

use std::sync::Arc;

use signet_application::{
    Request,
    api_keys::{CreateApiKey, NewApiKey, VerifyApiKey},
    audit::{AuditQuery, ListAuditTrail},
    users::{GetUser, ListUsers, NewUser, RegisterUser, RemoveUser, UpdateUser},
};
use signet_conformance::{PlainHasher, email, name};
use signet_domain::{
    KeyMode, KeyScope, Metadata, UserPatch,
    ports::{AuditFilter, Clock, IdGenerator, Page},
};
use signet_postgres::PostgresOptions;
use signet_testkit::{PostgresServer, TestDatabase};

use super::statements::read_to_the_end;
use crate::support::{Database, ample, private};

/// What the server answers one by one: a statement to prepare, one to execute (what is bound to it comes along), one in
/// plain text.
const MESSAGES: [&str; 3] = [" ms  parse ", " ms  execute ", " ms  statement: "];

/// Does the work and tells how many round trips it took.
async fn counted<T>(server: &PostgresServer, sql: &TestDatabase, work: impl Future<Output = T>) -> (T, usize) {
    // What came before may still be on its way into the log.
    read_to_the_end(server, sql);
    let start = server.log().len();
    let done = work.await;
    read_to_the_end(server, sql);
    let log = server.log().split_off(start);
    let log = log.iter().filter(|line| !line.contains("the marker"));
    (done, log.filter(|line| MESSAGES.iter().any(|message| line.contains(message))).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_case_takes_no_more_round_trips_than_it_must() {
    let server = private(&["log_min_duration_statement=0"]);
    let database = Database::with(TestDatabase::create_on(&server), PostgresOptions { threads: 1, ..ample() }).await;
    let partner_id = database.partner().await;
    let store = Arc::new(database.store.clone());
    let clock: Arc<dyn Clock> = Arc::new(database.build.clock.clone());
    let ids: Arc<dyn IdGenerator> = Arc::new(database.build.ids.clone());
    let hasher = Arc::new(PlainHasher);
    let create = CreateApiKey::new(store.clone(), hasher.clone(), clock.clone(), ids.clone());
    let new = NewApiKey {
        partner_id,
        name: name("Backend"),
        mode: KeyMode::Live,
        scope: KeyScope::ReadWrite,
        expires_in: None,
    };
    let (_, token) = create.execute(new).await.expect("a key");
    let register = RegisterUser::new(store.clone(), clock.clone(), ids.clone());
    let get = GetUser::new(store.clone());
    let update = UpdateUser::new(store.clone(), clock.clone(), ids.clone());
    let remove = RemoveUser::new(store.clone(), clock.clone(), ids.clone());
    let list = ListUsers::new(store.clone());
    let trail = ListAuditTrail::new(store.clone());
    database.wait_until_idle();

    // The first round prepares the statements, on the connection that comes back last and goes out first; what counts
    // is the second.
    let mut counts = Vec::new();
    for round in ["first", "second"] {
        counts.clear();
        let mut count = |what: &'static str, number: usize| counts.push((what, number));
        let verify = VerifyApiKey::new(store.clone(), hasher.clone(), clock.clone(), Arc::default());
        let (caller, number) = counted(&server, &database.sql, verify.execute(&token.expose())).await;
        count("a key, for the first time", number);
        let (again, number) = counted(&server, &database.sql, verify.execute(&token.expose())).await;
        count("the key, again", number);
        assert_eq!(again, caller);
        let request = Request { caller: caller.expect("good"), request_id: ids.request_id(), ip_address: None };

        let address = email(&format!("{round}@example.com"));
        let new = NewUser { name: name("John Doe"), email: address.clone(), metadata: Metadata::default() };
        let (user, number) = counted(&server, &database.sql, register.execute(&request, new.clone())).await;
        count("register-user", number);
        let user = user.expect("registered");

        let (refused, number) = counted(&server, &database.sql, register.execute(&request, new)).await;
        count("register-user, taken", number);
        assert!(refused.is_err());

        let (found, number) = counted(&server, &database.sql, get.execute(&request, user.id)).await;
        count("get-user", number);
        assert_eq!(found.as_ref(), Ok(&user));

        let patch = UserPatch { name: Some(name("Jack")), ..UserPatch::default() };
        let (updated, number) = counted(&server, &database.sql, update.execute(&request, user.id, &patch)).await;
        count("update-user", number);
        let (unchanged, number) = counted(&server, &database.sql, update.execute(&request, user.id, &patch)).await;
        count("update-user, nothing new", number);
        assert_eq!(unchanged, updated);

        let other = NewUser {
            name: name("Jane"),
            email: email(&format!("other.{round}@example.com")),
            metadata: Metadata::default(),
        };
        register.execute(&request, other.clone()).await.expect("registered");
        let patch = UserPatch { email: Some(other.email), ..UserPatch::default() };
        let (refused, number) = counted(&server, &database.sql, update.execute(&request, user.id, &patch)).await;
        count("update-user, taken", number);
        assert!(refused.is_err());

        let (removed, number) = counted(&server, &database.sql, remove.execute(&request, user.id)).await;
        count("remove-user", number);
        let (again, number) = counted(&server, &database.sql, remove.execute(&request, user.id)).await;
        count("remove-user, again", number);
        assert_eq!((again.is_ok(), again), (true, removed));

        let page = Page::new(10, 0).expect("a page");
        let (listed, number) = counted(&server, &database.sql, list.execute(&request, page)).await;
        count("list-users", number);
        assert!(listed.is_ok_and(|page| page.total > 0));
        let query = AuditQuery { filter: AuditFilter::default(), limit: 2, cursor: None };
        let (read, number) = counted(&server, &database.sql, trail.execute(&request, query)).await;
        count("audit-trail", number);
        assert!(read.is_ok_and(|page| page.entries.len() == 2));
    }
    let expected = [
        ("a key, for the first time", 1),
        ("the key, again", 0),
        ("register-user", 1),
        ("register-user, taken", 1),
        ("get-user", 1),
        ("update-user", 2),
        ("update-user, nothing new", 1),
        ("update-user, taken", 2),
        ("remove-user", 2),
        ("remove-user, again", 1),
        ("list-users", 1),
        ("audit-trail", 1),
    ];
    assert_eq!(counts, expected);
}

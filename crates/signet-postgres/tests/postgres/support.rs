//! A database with the schema, a store on it, and a second session beside it.

use std::{
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};
use signet_conformance::{Adapter, Builder};
use signet_domain::{
    PartnerId, User, UserId,
    ports::{Page, PartnerRepository, StoreError, UserPage, UserRepository},
};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase, Watch};

use crate::keyed::watch;

/// How much later than its deadline something may be seen to happen, on a machine that does much else.
pub const MARGIN: Duration = Duration::from_secs(10);

/// Time enough, where time is not the subject.
pub fn ample() -> PostgresOptions {
    PostgresOptions { deadline: Duration::from_secs(30), ..PostgresOptions::default() }
}

/// Returns once it has happened.
pub fn until(what: &str, mut has_happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !has_happened() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}

/// What is said to operators, with the role's name in it.
const ROLES: &str = include_str!("../../../../docs/roles.sql");

pub struct Database {
    pub store: PostgresStore,
    /// That of the store.
    pub url: String,
    pub sql: TestDatabase,
    pub build: Builder,
    pub watch: Watch,
}

impl Database {
    pub async fn migrated() -> Self {
        Self::with(TestDatabase::create(), ample()).await
    }

    /// With one thread, so that what is asked meanwhile waits and makes a batch.
    pub async fn single() -> Self {
        Self::with(TestDatabase::create(), PostgresOptions { threads: 1, ..ample() }).await
    }

    pub async fn on(server: &PostgresServer) -> Self {
        Self::with(TestDatabase::create_on(server), ample()).await
    }

    /// On a database whose sessions are serializable unless they say otherwise.
    pub async fn serializable(options: PostgresOptions) -> Self {
        Self::with(serializable(), options).await
    }

    pub async fn with(sql: TestDatabase, options: PostgresOptions) -> Self {
        let watch = watch();
        let store = PostgresStore::connect(sql.url(), options).expect("a URL");
        store.migrate().await.expect("an empty database");
        Self { store, url: sql.url().to_owned(), sql, build: Builder::new(1), watch }
    }

    /// The same with a store that works as the role that the service is given.
    pub fn in_the_role_of_the_service(mut self, options: PostgresOptions) -> Self {
        self.url = self.sql.create_role();
        self.sql.execute(&ROLES.replace("signet", self.sql.name()));
        self.store = PostgresStore::connect(&self.url, options).expect("a URL");
        self
    }

    pub fn adapter(self) -> Adapter {
        let peer = PostgresStore::connect(&self.url, PostgresOptions::default()).expect("a URL");
        Adapter::new(self.store).with_peer(Adapter::new(peer)).keeping((self.sql, self.watch))
    }

    /// A new partner, stored.
    pub async fn partner(&self) -> PartnerId {
        let partner = self.build.partner();
        let id = partner.id;
        PartnerRepository::insert(&self.store, partner).await.expect("a partner");
        id
    }

    /// A new user, stored.
    pub async fn user(&self, partner_id: PartnerId, address: &str) -> User {
        self.store.commit(self.build.registration(partner_id, address)).await.expect("a user")
    }

    pub async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        UserRepository::find(&self.store, partner_id, user_id).await
    }

    /// The first hundred.
    pub async fn list(&self, partner_id: PartnerId) -> Result<UserPage, StoreError> {
        UserRepository::list(&self.store, partner_id, Page::new(100, 0).expect("a page")).await
    }

    /// Returns once all connections of the store are made and idle.
    pub fn wait_until_idle(&self) {
        until("all connections are idle", || {
            let state = self.store.pool_state();
            (state.connections, state.idle) == (state.limit, state.limit)
        });
    }

    pub fn session(&self) -> Session {
        session(&self.sql)
    }
}

/// An empty database whose sessions are serializable unless they say otherwise.
pub fn serializable() -> TestDatabase {
    let sql = TestDatabase::create();
    sql.execute(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", sql.name()));
    sql
}

pub fn session(sql: &TestDatabase) -> Session {
    session_at(sql.url())
}

pub fn session_at(url: &str) -> Session {
    Session(PgConnection::establish(url).expect("a session"))
}

/// A session of its own, which can hold a lock while the store wants it.
pub struct Session(PgConnection);

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl Session {
    pub fn execute(&mut self, sql: &str) {
        self.0.batch_execute(sql).expect("SQL");
    }

    /// Why Postgres refuses the SQL.
    pub fn refusal(&mut self, sql: &str) -> String {
        self.0.batch_execute(sql).expect_err(sql).to_string()
    }

    pub fn number(&mut self, sql: &str) -> i64 {
        diesel::sql_query(format!("SELECT ({sql})::bigint AS number"))
            .get_result::<Number>(&mut self.0)
            .expect(sql)
            .number
    }

    /// Returns once that many sessions of the database wait for a lock.
    pub fn wait_for_waiters(&mut self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND wait_event_type = 'Lock'";
        until("sessions wait for a lock", || {
            // Within a transaction, the statistics would stay as they were first read.
            self.execute("SELECT pg_stat_clear_snapshot()");
            self.number(waiting) >= count
        });
    }
}

pub fn durable() -> PostgresServer {
    PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() })
}

pub fn private(settings: &[&str]) -> PostgresServer {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    PostgresServer::start_new(&ServerOptions { settings, ..ServerOptions::default() })
}

pub fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { .. })
}

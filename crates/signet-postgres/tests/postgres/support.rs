//! A database with the schema, a store on it, and a second session beside it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
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
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};

pub struct Database {
    pub store: PostgresStore,
    pub sql: TestDatabase,
    pub build: Builder,
}

impl Database {
    pub async fn migrated() -> Self {
        Self::with(TestDatabase::create(), PostgresOptions::default()).await
    }

    /// With one thread, so that what is asked meanwhile waits and makes a batch.
    pub async fn single() -> Self {
        Self::with(TestDatabase::create(), PostgresOptions { threads: 1, ..PostgresOptions::default() }).await
    }

    pub async fn on(server: &PostgresServer) -> Self {
        Self::with(TestDatabase::create_on(server), PostgresOptions::default()).await
    }

    pub async fn with(sql: TestDatabase, options: PostgresOptions) -> Self {
        let store = PostgresStore::connect(sql.url(), options).expect("a URL");
        store.migrate().await.expect("an empty database");
        Self { store, sql, build: Builder::new(1) }
    }

    pub fn adapter(self) -> Adapter {
        let peer = PostgresStore::connect(self.sql.url(), PostgresOptions::default()).expect("a URL");
        Adapter::new(self.store).with_peer(Adapter::new(peer)).keeping(self.sql)
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

    pub fn session(&self) -> Session {
        Session(PgConnection::establish(self.sql.url()).expect("a session"))
    }
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
        let deadline = Instant::now() + Duration::from_secs(30);
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND wait_event_type = 'Lock'";
        while self.number(waiting) < count {
            assert!(Instant::now() < deadline, "nobody waits");
            // Within a transaction, the statistics would stay as they were first read.
            self.execute("SELECT pg_stat_clear_snapshot()");
        }
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

/// What stands between a store and its server: it passes everything on, or drops the connection in place of the next
/// answer.
pub struct Wire {
    pub port: u16,
    cut: Arc<AtomicBool>,
}

impl Wire {
    pub fn to(target: u16) -> Self {
        Self::switching(&Arc::new(AtomicU16::new(target)))
    }

    /// Each new connection goes to the port that `target` holds then.
    pub fn switching(target: &Arc<AtomicU16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cut = Arc::new(AtomicBool::new(false));
        let (cutting, target) = (Arc::clone(&cut), Arc::clone(target));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target.load(Ordering::SeqCst))) else { continue };
                let never = Arc::new(AtomicBool::new(false));
                pass(client.try_clone().expect("a socket"), server.try_clone().expect("a socket"), never);
                pass(server, client, Arc::clone(&cutting));
            }
        });
        Self { port, cut }
    }

    /// Loses the next answer of the server, and the connection with it.
    pub fn cut_next_answer(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if cut.swap(false, Ordering::SeqCst) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}

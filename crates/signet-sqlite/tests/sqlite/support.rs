//! A store in a directory of its own, and a way past it.

use std::path::PathBuf;

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};
use signet_conformance::Builder;
use signet_domain::{PartnerId, ports::PartnerRepository};
use signet_sqlite::{SqliteOptions, SqliteStore};
use signet_testkit::Watch;

use crate::keyed::watch;

/// An empty directory with the place of a database in it, deleted on drop.
pub struct File {
    directory: tempfile::TempDir,
    _watch: Watch,
}

impl File {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), _watch: watch() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("signet.db")
    }

    pub fn open(&self, options: SqliteOptions) -> SqliteStore {
        SqliteStore::open(self.path().to_str().expect("UTF-8"), options).expect("opens")
    }

    /// A connection of somebody else's. It waits, since a store that was dropped may still be closing the file.
    pub fn connect(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.path().to_str().expect("UTF-8")).expect("opens");
        connection.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        connection
    }

    pub async fn migrated() -> (SqliteStore, Self) {
        let file = Self::new();
        let store = file.open(SqliteOptions::default());
        store.migrate().await.expect("migrates");
        (store, file)
    }

    /// The same with a partner in it.
    pub async fn with_a_partner() -> (SqliteStore, Self, Builder, PartnerId) {
        let (store, file) = Self::migrated().await;
        let build = Builder::new(1);
        let partner = build.partner();
        PartnerRepository::insert(&store, partner.clone()).await.expect("inserted");
        (store, file, build, partner.id)
    }
}

/// A blob in SQL.
pub fn blob(id: uuid::Uuid) -> String {
    format!("x'{}'", id.simple())
}

/// Runs SQL and tells why it was refused.
pub fn refusal(connection: &mut SqliteConnection, sql: &str) -> String {
    connection.batch_execute(sql).expect_err(sql).to_string()
}

/// The rows of a query for one column, named `line`.
pub fn lines(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let rows: Vec<Row> = sql_query(sql).load(connection).expect(sql);
    rows.into_iter().map(|row| row.line).collect()
}

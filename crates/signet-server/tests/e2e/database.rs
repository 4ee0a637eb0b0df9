//! A database of the test's own, and everything on it that a test begins with.

use std::{collections::BTreeMap, path::Path};

use diesel::{Connection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, dsl::sql, sql_types::Text};
use signet_testkit::{Fixture, PostgresServer, TestDatabase};
use tempfile::TempDir;

use crate::{
    client::Client,
    program::{Server, json},
};

/// A directory for the program's files, and a database for it: a `SQLite` file in there, or one of Postgres.
pub struct Place {
    directory: TempDir,
    postgres: Option<TestDatabase>,
}

impl Place {
    pub fn sqlite() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), postgres: None }
    }

    pub fn postgres() -> Self {
        Self { postgres: Some(TestDatabase::create()), ..Self::sqlite() }
    }

    pub fn postgres_on(server: &PostgresServer) -> Self {
        Self { postgres: Some(TestDatabase::create_on(server)), ..Self::sqlite() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> String {
        self.postgres.as_ref().map_or_else(|| "sqlite://signet.db".to_owned(), |database| database.url().to_owned())
    }

    /// Puts the database of an older version in place, and returns that version's answers about it.
    pub fn restore(&self, fixture: Fixture) -> String {
        if let Some(postgres) = &self.postgres {
            fixture.restore_postgres(postgres);
            return fixture.postgres_answers();
        }
        let copy = fixture.sqlite(self.path());
        std::fs::rename(copy, self.path().join("signet.db")).expect("in its place");
        fixture.sqlite_answers()
    }

    /// Does to the database what the service never does, past everything that guards it.
    pub fn tamper(&self, sql: &str) {
        if let Some(postgres) = &self.postgres {
            postgres.execute(
                "ALTER TABLE audit_entries DISABLE TRIGGER USER;
                 ALTER TABLE audit_entries DROP CONSTRAINT IF EXISTS audit_entries_partner_id_user_id_fkey",
            );
            return postgres.execute(sql);
        }
        let mut file = self.sqlite_file();
        let unguarded = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF; \
            DROP TRIGGER IF EXISTS audit_entries_no_update; DROP TRIGGER IF EXISTS audit_entries_no_delete;";
        file.batch_execute(unguarded).and_then(|()| file.batch_execute(sql)).expect(sql);
    }

    /// All rows of each table, as text.
    pub fn tables(&self) -> BTreeMap<String, String> {
        const NAMES: &str = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
        if let Some(postgres) = &self.postgres {
            let rows = |name: &str| postgres.query(&format!("SELECT t::text FROM {name} AS t"));
            return postgres.query(NAMES).lines().map(|name| (name.to_owned(), rows(name))).collect();
        }
        let mut file = self.sqlite_file();
        let mut ask = |query: &str| sql::<Text>(query).get_result::<String>(&mut file).expect(query);
        let names = ask("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'");
        let mut rows = |name: &str| {
            let columns =
                format!("SELECT group_concat('quote(' || name || ')', '||') FROM pragma_table_info('{name}')");
            let row = ask(&columns);
            ask(&format!("SELECT coalesce(group_concat({row}, char(10)), '') FROM {name}"))
        };
        names.split(',').map(|name| (name.to_owned(), rows(name))).collect()
    }

    /// What the server of the database has logged, of other tests, too; nothing where that is not known.
    pub fn server_log(&self) -> Vec<String> {
        self.postgres.as_ref().and_then(TestDatabase::server_log).unwrap_or_default()
    }

    pub fn sqlite_file(&self) -> SqliteConnection {
        let path = self.path().join("signet.db");
        SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database")
    }

    /// An id as SQL.
    pub fn sql_id(&self, id: &str) -> String {
        if self.postgres.is_some() { format!("'{id}'") } else { format!("x'{}'", id.replace('-', "")) }
    }

    /// What a command with these arguments prints as JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        json(self.path(), &[arguments, &["--database-url", &self.url()]].concat())
    }

    /// A server on this database.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        Server::start(self.path(), &[&["--database-url", &self.url()], arguments].concat())
    }

    /// A new partner with a key of its own.
    pub fn partner(&self) -> Partner {
        let partner = self.json(&["partner", "create", "--name", "Acme Inc."]);
        let id = partner["partnerId"].as_str().expect("an id").to_owned();
        let key = self.json(&["key", "create", "--partner", &id, "--name", "Backend"]);
        let text = |name: &str| key[name].as_str().expect(name).to_owned();
        Partner { id, key_id: text("keyId"), key: text("apiKey") }
    }

    /// A server, and a client with a new partner's key.
    pub fn service(&self) -> (Server, Client) {
        let key = self.partner().key;
        let server = self.serve(&[]);
        let client = server.client(&key);
        (server, client)
    }
}

pub struct Partner {
    pub id: String,
    pub key_id: String,
    pub key: String,
}

/// One test of the name for each database.
macro_rules! on_both {
    ($($(#[$meta:meta])* fn $name:ident($place:ident: &Place) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                fn behaves($place: &Place) $body

                #[test]
                fn on_postgres() {
                    behaves(&Place::postgres());
                }

                #[test]
                fn on_sqlite() {
                    behaves(&Place::sqlite());
                }
            }
        )*
    };
}
pub(crate) use on_both;

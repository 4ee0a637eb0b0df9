use std::{
    collections::hash_map::RandomState,
    env,
    hash::BuildHasher,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{PostgresServer, binaries};

/// An empty database with a name of its own, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    maintenance_url: String,
    name: String,
    url: String,
    has_role: bool,
    is_on_shared: bool,
}

impl TestDatabase {
    /// A database on the server of `TEST_DATABASE_URL`, else on the one that
    /// [this process shares](PostgresServer::shared).
    ///
    /// # Panics
    /// Where there is no such server, with a line that says what to do.
    #[must_use]
    pub fn create() -> Self {
        match env::var("TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::create_at(url),
            _ => {
                let mut database = Self::create_on(PostgresServer::shared());
                database.is_on_shared = true;
                database
            }
        }
    }

    /// A database on that server.
    #[must_use]
    pub fn create_on(server: &PostgresServer) -> Self {
        Self::create_at(server.socket_url("postgres"))
    }

    fn create_at(maintenance_url: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("signet_test_{:016x}_{number:04}", RandomState::new().hash_one(std::process::id()));
        // template0, since a database that somebody is connected to cannot be copied.
        psql(&maintenance_url, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        let url = with_database(&maintenance_url, &name);
        Self { maintenance_url, name, url, has_role: false, is_on_shared: false }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its server has written to its log until now, about other databases, too; `None` where it is not the server
    /// that [this process shares](PostgresServer::shared).
    #[must_use]
    pub fn server_log(&self) -> Option<Vec<String>> {
        self.is_on_shared.then(|| PostgresServer::shared().log())
    }

    /// Makes a role that may log in and nothing else, and returns the URL to do so with. It is named as the database, and
    /// dropped with it.
    ///
    /// # Panics
    /// Where the server refuses it.
    #[must_use]
    pub fn create_role(&mut self) -> String {
        psql(&self.maintenance_url, &format!("CREATE ROLE {} LOGIN PASSWORD 'password'", self.name));
        self.has_role = true;
        // The last one of a parameter counts, and counts more than what stands before the host.
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}user={}&password=password", self.url, self.name)
    }

    /// Runs SQL with `psql` and returns what it prints: rows as lines, columns with `|` between them.
    ///
    /// # Panics
    /// Where the server refuses the SQL.
    #[must_use = "call `execute` where the answer does not matter"]
    pub fn query(&self, sql: &str) -> String {
        psql(&self.url, sql)
    }

    /// Runs the SQL of a file, such as a dump.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn execute_file(&self, path: &Path) {
        let file = path.to_str().expect("UTF-8");
        run(&self.url, &["-f", file]).unwrap_or_else(|error| panic!("psql failed: {error}"));
    }

    /// Runs SQL of which only success matters.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn execute(&self, sql: &str) {
        psql(&self.url, sql);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A server that its test has stopped drops nothing, and takes the database with it.
        drop(run(&self.maintenance_url, &["-c", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)]));
        if self.has_role {
            drop(run(&self.maintenance_url, &["-c", &format!("DROP ROLE IF EXISTS {}", self.name)]));
        }
    }
}

fn psql(url: &str, sql: &str) -> String {
    run(url, &["-c", sql]).unwrap_or_else(|error| panic!("psql failed: {error}"))
}

fn run(url: &str, script: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binaries::psql());
    command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"]).args(script).arg(url).env("LC_ALL", "C");
    command.env("PGCONNECT_TIMEOUT", "5");
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The same URL with another database: the path is what lies between the authority and the query.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_a_url_changes() {
        for (url, expected) in [
            ("postgres://a:b@h:1/x?sslmode=require", "postgres://a:b@h:1/new?sslmode=require"),
            ("postgresql://h", "postgresql://h/new"),
            ("postgres:///x?host=/run", "postgres:///new?host=/run"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}

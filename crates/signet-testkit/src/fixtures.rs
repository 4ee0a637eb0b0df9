use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::TestDatabase;

/// The databases that a released version left behind, for tests of upgrades. See the README of the folder.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    version: &'static str,
}

impl Fixture {
    /// The databases of version 0.1.0.
    pub const V0_1_0: Self = Self { version: "0.1.0" };

    /// Copies the `SQLite` file into that directory and returns the path of the copy.
    ///
    /// # Panics
    /// If the file cannot be copied.
    #[must_use]
    pub fn sqlite(self, directory: &Path) -> PathBuf {
        let copy = directory.join(format!("signet-{}.db", self.version));
        fs::copy(self.file("sqlite.bin"), &copy).expect("the fixture can be copied");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).expect("the copy is ours");
        copy
    }

    /// Restores the `PostgreSQL` dump into a new database.
    ///
    /// # Panics
    /// If there is no `PostgreSQL`, or it refuses the dump.
    #[must_use]
    pub fn postgres(self) -> TestDatabase {
        let database = TestDatabase::create();
        self.restore_postgres(&database);
        database
    }

    /// Restores the `PostgreSQL` dump into an empty database.
    ///
    /// # Panics
    /// If the server refuses the dump.
    pub fn restore_postgres(self, database: &TestDatabase) {
        database.execute_file(&self.file("postgres.sql"));
    }

    /// The API's answers about the `SQLite` file when it was made, as JSON.
    ///
    /// # Panics
    /// If the file cannot be read.
    #[must_use]
    pub fn sqlite_answers(self) -> String {
        fs::read_to_string(self.file("sqlite.json")).expect("the fixture can be read")
    }

    /// The API's answers about the `PostgreSQL` database when it was made, as JSON.
    ///
    /// # Panics
    /// If the file cannot be read.
    #[must_use]
    pub fn postgres_answers(self) -> String {
        fs::read_to_string(self.file("postgres.json")).expect("the fixture can be read")
    }

    fn file(self, name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(self.version).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixture_restores_into_postgres_and_sqlite() {
        let directory = tempfile::tempdir().expect("a directory");
        let fixture = Fixture::V0_1_0;
        let counts = "SELECT (SELECT count(*) FROM users) = 38, (SELECT count(*) FROM audit_entries) = 49";
        assert_eq!(fixture.postgres().query(counts), "t|t");
        let file = fs::read(fixture.sqlite(directory.path())).expect("copied");
        assert!(file.starts_with(b"SQLite format 3\0"));
        assert!(fixture.sqlite_answers().starts_with('{') && fixture.postgres_answers().starts_with('{'));
    }
}

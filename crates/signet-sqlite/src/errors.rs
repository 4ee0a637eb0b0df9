//! What `SQLite` says, in the words of the ports.
//!
//! Diesel passes on the kind of a broken constraint and a message, and for all else a message alone. So the messages
//! are read, here and nowhere else. `SQLite` puts names of tables, columns and constraints into them, and never a bound
//! value; every value is bound.

use diesel::{
    SqliteConnection,
    result::{DatabaseErrorKind, Error},
};
use signet_domain::ports::StoreError;
use signet_turn::Refused;

/// An error on its way out of a statement or a transaction.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::DatabaseError(DatabaseErrorKind::Unknown, details) => from_message(details.message()),
            Error::DatabaseError(_, details) => unexpected(details.message()),
            Error::RollbackErrorOnCommit { .. } | Error::BrokenTransactionManager => unavailable("a transaction broke"),
            Error::NotFound => unexpected("no row where there must be one"),
            // Its text may quote the value.
            Error::DeserializationError(_) => unexpected("a column of another type"),
            _ => unexpected("a statement could not be made"),
        })
    }
}

/// Does `job` in a transaction that takes the writer's lock first: one that reads first and writes later cannot wait
/// for the lock, it fails. [`StoreError::Unexpected`] means that nothing was committed.
pub(crate) fn transaction<T>(
    connection: &mut SqliteConnection,
    job: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut cause = None;
    let done = connection
        .immediate_transaction(|connection| job(connection).inspect_err(|failure| cause = Some(failure.0.clone())));
    // A full disk makes SQLite roll back by itself; the roll-back that follows fails, and its error tells nothing.
    done.map_err(|failure| cause.map_or(failure, Failure))
}

impl From<diesel::r2d2::PoolError> for Failure {
    fn from(_: diesel::r2d2::PoolError) -> Self {
        Self(unavailable("no connection to the file"))
    }
}

/// Why a thread gave no answer.
pub(crate) fn refused(refused: Refused) -> StoreError {
    match refused {
        Refused::Overloaded => StoreError::Overloaded,
        Refused::DeadlineExceeded => unavailable("no answer before the deadline"),
        // A panic: a defect of ours, and no condition of the file.
        Refused::Abandoned => unexpected("the operation ended without an answer"),
    }
}

/// Whether the statement broke off because another user of the partner has the address.
pub(crate) fn is_email_taken(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, details)
        if details.message() == "UNIQUE constraint failed: users.partner_id, users.email_key")
}

pub(crate) fn unexpected(reason: &str) -> StoreError {
    StoreError::Unexpected { reason: reason.to_owned() }
}

pub(crate) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}

/// The beginnings of the texts that speak of the file and not of the statement: those of `sqlite3_errstr`, and those of
/// a schema that is not there yet.
const ABOUT_THE_FILE: [&str; 15] = [
    "access permission denied",
    "attempt to write a readonly database",
    "cannot commit",
    "cannot rollback",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "database table is locked",
    "disk I/O error",
    "file is not a database",
    "locking protocol",
    "no such column",
    "no such table",
    "out of memory",
    "unable to open database file",
];

/// A message that `SQLite` gave.
pub(crate) fn from_message(message: &str) -> StoreError {
    if ABOUT_THE_FILE.iter().any(|text| message.starts_with(text)) {
        unavailable(in_words(message))
    } else {
        unexpected(message)
    }
}

/// The message, unless it is the famous one: that says neither what to do nor who did it.
pub(crate) fn in_words(message: &str) -> &str {
    if is_locked(message) { "another process is writing" } else { message }
}

pub(crate) fn is_locked(message: &str) -> bool {
    message.contains("database is locked") || message.contains("database table is locked")
}

/// Whether the statement names a table that does not exist.
pub(crate) fn lacks_table(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, details)
        if details.message().starts_with("no such table"))
}

#[cfg(test)]
mod tests {
    use diesel::{Connection, RunQueryDsl, connection::SimpleConnection, sql_query};

    use super::*;

    fn failure(connection: &mut SqliteConnection, sql: &str) -> StoreError {
        Failure::from(sql_query(sql).execute(connection).expect_err("refused")).0
    }

    #[test]
    fn the_file_is_told_from_the_statement() {
        let mut connection = SqliteConnection::establish(":memory:").expect("opens");
        connection
            .batch_execute("PRAGMA max_page_count = 3; CREATE TABLE t (a TEXT NOT NULL CHECK (a <> '7')) STRICT;")
            .expect("a table");
        let full = failure(&mut connection, "INSERT INTO t SELECT printf('%.*c', 100000, 'x')");
        assert_eq!(full, unavailable("database or disk is full"));
        assert_eq!(failure(&mut connection, "INSERT INTO u VALUES ('secret')"), unavailable("no such table: u"));
        assert_eq!(
            failure(&mut connection, "INSERT INTO t VALUES (NULL)"),
            unexpected("NOT NULL constraint failed: t.a")
        );
        assert_eq!(failure(&mut connection, "COMMIT"), unavailable("cannot commit - no transaction is active"));
        connection.batch_execute("PRAGMA query_only = ON").expect("a pragma");
        let read_only = failure(&mut connection, "INSERT INTO t VALUES ('a')");
        assert_eq!(read_only, unavailable("attempt to write a readonly database"));
    }

    #[test]
    fn a_locked_database_is_said_to_be_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.db");
        let connect = || SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("opens");
        let (mut one, mut other) = (connect(), connect());
        one.batch_execute("BEGIN IMMEDIATE").expect("the lock");
        let refused = transaction(&mut other, |_| Ok(())).expect_err("locked");
        assert_eq!(refused.0, unavailable("another process is writing"));
        assert_eq!(from_message("database table is locked: users"), refused.0);
    }

    #[test]
    fn no_message_repeats_a_bound_value() {
        use diesel::sql_types::{BigInt, Text};
        let mut connection = SqliteConnection::establish(":memory:").expect("opens");
        let table = "CREATE TABLE t (a TEXT UNIQUE CHECK (length(a) < 40), b INTEGER, c TEXT NOT NULL) STRICT";
        connection.batch_execute(table).expect("a table");
        let insert = |connection: &mut SqliteConnection, a: &str, b: &str| {
            let insert = sql_query("INSERT INTO t VALUES (?, ?, ?)").bind::<Text, _>(a).bind::<Text, _>(b);
            insert.bind::<BigInt, _>(1).execute(connection)
        };
        insert(&mut connection, "jane@example.com", "1").expect("inserted");
        for (a, b) in [("jane@example.com", "1"), (&"jane".repeat(20), "1"), ("john@example.com", "jane's")] {
            let error = Failure::from(insert(&mut connection, a, b).expect_err("refused"));
            assert!(matches!(&error.0, StoreError::Unexpected { .. }), "{error:?}");
            assert!(!error.0.to_string().contains("jane"), "{error:?}");
        }
    }

    #[test]
    fn what_diesel_says_by_itself_is_told_by_its_kind() {
        let told = |error: Error| Failure::from(error).0;
        let broken = || Box::new(Error::BrokenTransactionManager);
        let undone = Error::RollbackErrorOnCommit { rollback_error: broken(), commit_error: broken() };
        for error in [undone, Error::BrokenTransactionManager] {
            assert_eq!(told(error), unavailable("a transaction broke"));
        }
        assert_eq!(told(Error::NotFound), unexpected("no row where there must be one"));
        let unread = Error::DeserializationError("jane@example.com".into());
        assert_eq!(told(unread), unexpected("a column of another type"));
        assert_eq!(told(Error::RollbackTransaction), unexpected("a statement could not be made"));
    }

    #[test]
    fn a_missing_table_is_told_from_whatever_else_is_wrong() {
        let mut connection = SqliteConnection::establish(":memory:").expect("opens");
        let mut error = |sql: &str| sql_query(sql).execute(&mut connection).expect_err("refused");
        assert!(lacks_table(&error("SELECT * FROM users")));
        assert!(!lacks_table(&error("SELECT nonsense")));
        assert!(!lacks_table(&Error::NotFound));
    }
}

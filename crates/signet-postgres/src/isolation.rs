use diesel::{PgConnection, QueryResult, result::Error};

/// Where READ COMMITTED comes from, which every statement that writes relies on: after it waited for a lock it sees what
/// the holder of the lock left. Reads are single statements, right at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// From the session, which was set up once.
    OfSession,
    /// From each transaction: behind a pooler, nobody knows which session a transaction gets, and what it was left with.
    OfTransaction,
}

impl Isolation {
    /// Runs a statement that writes. One that fails leaves no transaction open.
    pub(crate) fn run<T>(
        self,
        connection: &mut PgConnection,
        statement: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        match self {
            Self::OfSession => statement(connection),
            Self::OfTransaction => read_committed(connection, statement),
        }
    }
}

/// Runs the job in a separate transaction.
pub(crate) fn read_committed<T, E: From<Error>>(
    connection: &mut PgConnection,
    job: impl FnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    connection.build_transaction().read_committed().run(job)
}

//! The one place that knows what Postgres and Diesel call their errors.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use signet_domain::ports::StoreError;

/// The database behind the connection is gone, or no longer one that can be written to: a former primary accepts
/// connections and answers reads long after it has been demoted (SQLSTATE 25006).
pub(crate) fn is_connection_lost(error: &Error) -> bool {
    if let Error::RollbackErrorOnCommit { commit_error, .. } = error {
        return is_connection_lost(commit_error);
    }
    matches!(
        error,
        Error::BrokenTransactionManager
            | Error::DatabaseError(
                DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::UnableToSendCommand
                    | DatabaseErrorKind::ReadOnlyTransaction,
                _
            )
    )
}

/// Whether another user of the partner took an address before the statement could.
pub(crate) fn is_address_taken(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information)
        if information.constraint_name() == Some("users_email_key_unique"))
}

/// Whether the statement refers to a row that does not exist.
pub(crate) fn lacks_reference(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _))
}

pub(crate) fn store_error(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => unavailable("the database is read-only"),
        lost if is_connection_lost(lost) => unavailable("the connection was lost"),
        // The kinds that Diesel does not name. The statements are ours and tested, so what is left is the server's
        // condition: a timeout, a deadlock, a full disk, a missing right, a schema that is not there yet.
        Error::DatabaseError(DatabaseErrorKind::Unknown | DatabaseErrorKind::SerializationFailure, information) => {
            unavailable(without_values(information.message()))
        }
        Error::DatabaseError(kind, information) => {
            StoreError::Unexpected { reason: format!("{kind:?}{}", place(&**information)) }
        }
        Error::DeserializationError(_) => StoreError::Unexpected { reason: "a value of a row has another type".into() },
        _ => StoreError::Unexpected { reason: "Diesel refused the statement".into() },
    }
}

pub(crate) fn unavailable(reason: impl Into<String>) -> StoreError {
    StoreError::Unavailable { reason: reason.into() }
}

fn place(information: &(dyn DatabaseErrorInformation + Send + Sync)) -> String {
    let names = [information.table_name(), information.column_name(), information.constraint_name()];
    names.into_iter().flatten().fold(String::new(), |place, name| format!("{place} {name}"))
}

/// Postgres puts names and values alike between double quotes, so both go.
pub(crate) fn without_values(message: &str) -> String {
    let parts = message.split('"').enumerate();
    parts.map(|(number, part)| if number % 2 == 0 { part } else { "\"…\"" }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn no_reason_holds_a_value() {
        for kind in [DatabaseErrorKind::Unknown, DatabaseErrorKind::CheckViolation, DatabaseErrorKind::UniqueViolation]
        {
            let text = store_error(&error(kind, r#"invalid input "john@example.com" and "x"#)).to_string();
            assert!(!text.contains("john") && !text.contains('x'), "{text}");
        }
    }

    #[test]
    fn a_condition_of_the_server_is_no_defect() {
        let timeout = error(DatabaseErrorKind::Unknown, "canceling statement due to statement timeout");
        assert_eq!(store_error(&timeout), unavailable("canceling statement due to statement timeout"));
        let read_only = error(DatabaseErrorKind::ReadOnlyTransaction, "cannot execute INSERT");
        assert!(is_connection_lost(&read_only));
        assert_eq!(store_error(&read_only), unavailable("the database is read-only"));
    }

    /// A broken rule as Postgres tells it: by names of the schema, and by values.
    struct Broken;

    impl DatabaseErrorInformation for Broken {
        fn message(&self) -> &'static str {
            "duplicate key (john@example.com)"
        }

        fn details(&self) -> Option<&str> {
            Some("Key (email_key)=(john@example.com) already exists.")
        }

        fn hint(&self) -> Option<&str> {
            None
        }

        fn table_name(&self) -> Option<&str> {
            Some("users")
        }

        fn column_name(&self) -> Option<&str> {
            None
        }

        fn constraint_name(&self) -> Option<&str> {
            Some("users_pkey")
        }

        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn unexpected(reason: &str) -> StoreError {
        StoreError::Unexpected { reason: reason.to_owned() }
    }

    #[test]
    fn a_broken_rule_is_told_by_its_names() {
        let broken = Error::DatabaseError(DatabaseErrorKind::UniqueViolation, Box::new(Broken));
        assert_eq!(store_error(&broken), unexpected("UniqueViolation users users_pkey"));
    }

    #[test]
    fn a_lost_connection_is_no_defect_either() {
        for lost in [
            Error::BrokenTransactionManager,
            error(DatabaseErrorKind::ClosedConnection, "server closed the connection unexpectedly"),
            error(DatabaseErrorKind::UnableToSendCommand, "no connection to the server"),
        ] {
            assert_eq!(store_error(&lost), unavailable("the connection was lost"));
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_told_from_a_statement_that_cannot_be_made() {
        let unread = Error::DeserializationError("john@example.com".into());
        assert_eq!(store_error(&unread), unexpected("a value of a row has another type"));
        assert_eq!(store_error(&Error::NotFound), unexpected("Diesel refused the statement"));
    }
}

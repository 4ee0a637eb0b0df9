use signet_domain::ports::StoreError;

/// Why the program ends before it should. The text is the one line that its user sees, so it never holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An option or a variable makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something else went wrong: exit code 1.
    #[error("{0}")]
    Runtime(String),
}

impl Failure {
    /// What was being done, and why it failed.
    pub(crate) fn runtime(doing: &str, reason: impl std::fmt::Display) -> Self {
        Self::Runtime(format!("{doing}: {reason}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Runtime(match error {
            StoreError::Unavailable { reason } => format!("the database is unavailable: {reason}"),
            error => error.to_string(),
        })
    }
}

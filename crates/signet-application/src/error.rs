use signet_domain::{Invalid, PartnerId, UserId, ports::StoreError};

/// Why a use case that serves a partner did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key may only read.
    #[error("the API key may not change anything")]
    InsufficientScope,
    /// The partner has no such user; another partner's user is no different.
    #[error("no such user")]
    UserNotFound,
    /// The address belongs to another user of the same partner, removed ones included.
    #[error("the e-mail address belongs to user {existing}")]
    EmailTaken {
        /// That user.
        existing: UserId,
    },
    /// An update names no field to change.
    #[error("nothing to change")]
    NothingToChange,
    /// A value breaks a rule that needs more than the value itself to be judged.
    #[error("{field} {reason}")]
    InvalidField {
        /// The field, by its name in the API.
        field: &'static str,
        /// The rule.
        reason: Invalid,
    },
    /// The cursor is not ours, or belongs to other filters or to another partner.
    #[error("not a cursor of this list")]
    InvalidCursor,
    /// The store could not answer. Whether a change happened is unknown, except after an overload.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The second barrier between partners: whatever a store returns, a caller sees its own partner's data or none.
pub(crate) fn ensure_own(asked: PartnerId, returned: PartnerId) -> Result<(), Error> {
    if asked == returned {
        Ok(())
    } else {
        Err(Error::Store(StoreError::Unexpected { reason: "it returned a row of another partner".to_owned() }))
    }
}

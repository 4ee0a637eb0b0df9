use signet_domain::{
    Invalid,
    ports::{EmailHolder, StoreError},
};

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
    #[error("the e-mail address belongs to user {}", holder.id)]
    EmailTaken {
        /// That user, as it was when the change was refused.
        holder: EmailHolder,
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
    /// The store answered with what belongs to another partner: a defect, of which nothing is shown. Whether a change
    /// happened is unknown.
    #[error("the store answered with what belongs to another partner")]
    Foreign,
    /// The store could not answer. Whether a change happened is unknown, except after an overload.
    #[error(transparent)]
    Store(#[from] StoreError),
}

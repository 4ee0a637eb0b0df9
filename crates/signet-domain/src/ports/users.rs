use async_trait::async_trait;

use super::StoreError;
use crate::{Invalid, PartnerId, Status, Timestamp, User, UserChange, UserId};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    limit: u32,
    offset: u64,
}

impl Page {
    /// The limit where none is given.
    pub const DEFAULT_LIMIT: u32 = 20;
    /// The highest limit.
    pub const MAX_LIMIT: u32 = 100;

    /// A limit in `1..=100`, and an offset that a database can count to (at most 2⁶³ − 1).
    pub fn new(limit: u32, offset: u64) -> Result<Self, Invalid> {
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(Invalid::new("must be 1 to 100"));
        }
        if i64::try_from(offset).is_err() {
            return Err(Invalid::new("must be at most 9223372036854775807"));
        }
        Ok(Self { limit, offset })
    }

    /// How many records at most, 1 to 100.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// How many records to skip, at most 2⁶³ − 1.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.offset
    }
}

/// One page of a partner's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// Whose they are; so a total, too, tells whose it is.
    pub partner_id: PartnerId,
    /// The users of the page, in the order of registration, oldest first.
    pub users: Vec<User>,
    /// How many users the partner has, removed ones included.
    pub total: u64,
}

/// The user that has an address, in the state that the change was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmailHolder {
    /// The user.
    pub id: UserId,
    /// Its status.
    pub status: Status,
    /// When it was removed; present only while it is.
    pub removed_at: Option<Timestamp>,
}

impl From<&User> for EmailHolder {
    fn from(user: &User) -> Self {
        Self { id: user.id, status: user.status, removed_at: user.removed_at }
    }
}

/// Why a change was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another user of the partner, removed ones included, has an address with the same key.
    #[error("the e-mail address belongs to user {}", holder.id)]
    EmailTaken {
        /// Whose user that is: an id alone would not tell.
        partner_id: PartnerId,
        /// That user, as it was when the change was refused.
        holder: EmailHolder,
    },
    /// The store no longer holds the version that the change replaces: read again and decide again.
    #[error("the user has changed meanwhile")]
    Stale,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// The refusal of a change that wants the address of `holder`.
    #[must_use]
    pub fn email_taken(holder: &User) -> Self {
        Self::EmailTaken { partner_id: holder.partner_id, holder: holder.into() }
    }
}

/// Users, and the one way to change them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Writes the user and its audit entry in one transaction and returns the user once that is durable.
    ///
    /// - A change with [`replaces`](UserChange::replaces) `None` inserts; the users of a partner keep the order in which
    ///   their insertions became visible. A partner that does not exist, and an id that the partner's user already has,
    ///   are [`StoreError::Unexpected`]; nothing is written then.
    /// - Else it MUST replace exactly that version; where the store holds another, or no such user of that partner, it
    ///   changes nothing and returns [`CommitError::Stale`].
    /// - The e-mail key MUST be unique within the partner, removed users included, and free for other partners. A race
    ///   lost is the same [`CommitError::EmailTaken`] as a duplicate found, and so is the same registration once more.
    ///   Nothing is written then. The state of the holder MUST be that of the instant of the refusal.
    /// - The e-mail is written with the key that it carries, also if that differs from the one that
    ///   [`EmailAddress::parse`](crate::EmailAddress::parse) would compute: a stored address may have an older key.
    /// - What [`find`](Self::find) returns afterwards equals the user in the change, to the millisecond.
    async fn commit(&self, change: UserChange) -> Result<User, CommitError>;

    /// The user with that id, if it is that partner's. Sees every change acknowledged before the call.
    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError>;

    /// A page of that partner's users in the order of registration, oldest first, with the total of the same instant.
    /// An offset past the end gives no users and the total. New registrations MUST NOT shift earlier pages.
    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError>;
}

use crate::{
    Action, AuditEntry, ChangeContext, Changes, EmailAddress, Field, Invalid, Metadata, MetadataPatch, Name, PartnerId,
    Status, Timestamp, UserId,
};

/// Counts the changes of one user, from 1; the store refuses a change made to any version but the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i64);

impl Version {
    /// The version a registration makes.
    pub const FIRST: Self = Self(1);

    /// Reads a version back from a store.
    pub fn new(number: i64) -> Result<Self, Invalid> {
        if number >= 1 { Ok(Self(number)) } else { Err(Invalid::new("must be at least 1")) }
    }

    /// The version that a change to this one makes.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// A partner's user.
///
/// Invariant: a removed user is inactive. Invariant: `updated_at` never lies before `registered_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(UserState);

/// The fields of a [`User`], to read; also what a store hands to [`User::from_stored`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// Identifies the user within its partner.
    pub id: UserId,
    /// The partner that owns the user.
    pub partner_id: PartnerId,
    /// The display name.
    pub name: Name,
    /// The e-mail address, unique within the partner by its [key](EmailAddress::key).
    pub email: EmailAddress,
    /// Whether the user may be verified.
    pub status: Status,
    /// What the partner notes about the user.
    pub metadata: Metadata,
    /// When the user was registered.
    pub registered_at: Timestamp,
    /// When the user last changed; never goes backwards, even if the clock does.
    pub updated_at: Timestamp,
    /// When the user was removed; present only while it is.
    pub removed_at: Option<Timestamp>,
    /// How many changes made the user what it is.
    pub version: Version,
}

/// What a partner asks to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserPatch {
    /// A new display name.
    pub name: Option<Name>,
    /// A new e-mail address.
    pub email: Option<EmailAddress>,
    /// A new status; `active` and `suspended` restore a removed user.
    pub status: Option<Status>,
    /// A merge patch of the metadata.
    pub metadata: Option<MetadataPatch>,
}

impl UserPatch {
    /// Whether it names no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A user and the audit entry that tells how it came to be: what a store commits as one, or not at all.
///
/// Only the transitions of [`User`] make one, so no change exists without its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserChange {
    /// The user after the change. Its version is 1 for a registration, else one more than the store must still hold.
    pub user: User,
    /// What changed, by whom and when.
    pub audit: AuditEntry,
}

impl UserChange {
    /// The version that the store must still hold; `None` where the user must not exist yet.
    #[must_use]
    pub fn replaces(&self) -> Option<Version> {
        match self.user.version.number() {
            1 => None,
            number => Some(Version(number - 1)),
        }
    }
}

impl User {
    /// A new, active user.
    #[must_use]
    pub fn register(
        id: UserId,
        name: Name,
        email: EmailAddress,
        metadata: Metadata,
        context: ChangeContext,
    ) -> UserChange {
        let user = UserState {
            id,
            partner_id: context.partner_id,
            name,
            email,
            status: Status::Active,
            metadata,
            registered_at: context.at,
            updated_at: context.at,
            removed_at: None,
            version: Version::FIRST,
        };
        let mut changes = Changes::default();
        for field in [Field::Name, Field::Email, Field::Status, Field::Metadata] {
            changes.record(field, None, Some(&user));
        }
        finish(user, Action::Registered, changes, context)
    }

    /// Puts a user together from what a store holds; fails where an invariant does not hold.
    pub fn from_stored(state: UserState) -> Result<Self, Invalid> {
        if state.removed_at.is_some() && state.status != Status::Inactive {
            return Err(Invalid::new("a removed user must be inactive"));
        }
        if state.updated_at < state.registered_at {
            return Err(Invalid::new("updated_at must not lie before registered_at"));
        }
        Ok(Self(state))
    }

    /// The user after `patch`, or `None` where that changes nothing.
    ///
    /// Fails where the merged metadata would break a limit of [`Metadata`].
    pub fn change(&self, patch: &UserPatch, context: ChangeContext) -> Result<Option<UserChange>, Invalid> {
        let mut next = self.0.clone();
        if let Some(name) = &patch.name {
            next.name.clone_from(name);
        }
        // The same address keeps its stored key, which may be that of an older rule.
        if let Some(email) = &patch.email
            && *email != next.email
        {
            next.email.clone_from(email);
        }
        if let Some(metadata) = &patch.metadata {
            next.metadata = self.metadata.merged(metadata)?;
        }
        if let Some(status) = patch.status {
            next.status = status;
            if status != Status::Inactive {
                next.removed_at = None;
            }
        }
        let restored = self.removed_at.is_some() && next.removed_at.is_none();
        Ok(self.advance(next, if restored { Action::Restored } else { Action::Updated }, context))
    }

    /// The user after a soft delete, or `None` where it is removed already.
    #[must_use]
    pub fn remove(&self, context: ChangeContext) -> Option<UserChange> {
        if self.removed_at.is_some() {
            return None;
        }
        let mut next = self.0.clone();
        next.status = Status::Inactive;
        next.removed_at = Some(context.at.max(self.updated_at));
        self.advance(next, Action::Removed, context)
    }

    fn advance(&self, mut next: UserState, action: Action, mut context: ChangeContext) -> Option<UserChange> {
        let mut changes = Changes::default();
        for field in Field::ALL {
            changes.record(field, Some(&self.0), Some(&next));
        }
        if changes.is_empty() {
            return None;
        }
        // A clock that went backwards must not take updatedAt, or the order of the trail, with it.
        context.at = context.at.max(self.updated_at);
        next.updated_at = context.at;
        next.version = self.version.next();
        Some(finish(next, action, changes, context))
    }
}

fn finish(user: UserState, action: Action, changes: Changes, context: ChangeContext) -> UserChange {
    let audit = AuditEntry {
        id: context.entry_id,
        partner_id: user.partner_id,
        user_id: user.id,
        version: user.version,
        action,
        actor: context.actor,
        changes,
        request_id: context.request_id,
        ip_address: context.ip_address,
        occurred_at: context.at,
    };
    UserChange { user: User(user), audit }
}

impl std::ops::Deref for User {
    type Target = UserState;

    fn deref(&self) -> &UserState {
        &self.0
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;

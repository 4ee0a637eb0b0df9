use signet_domain::{AuditEntry, PartnerId, User, ports::UserPage};

use crate::Error;

/// The barrier of the use cases between partners: what a store answered, if all of it is that partner's.
///
/// Stores have a barrier of their own. This one relies on nothing that they do, so that a statement that lacks its key
/// becomes a failed request, and no answer with another partner's data in it.
pub(crate) fn own<T: Owned>(partner_id: PartnerId, answer: T) -> Result<T, Error> {
    if answer.is_of(partner_id) { Ok(answer) } else { Err(Error::Foreign) }
}

/// What says whose it is.
pub(crate) trait Owned {
    /// Whether it is that partner's, with all that is in it.
    fn is_of(&self, partner_id: PartnerId) -> bool;
}

/// That of something whose owner the store tells besides.
impl Owned for PartnerId {
    fn is_of(&self, partner_id: PartnerId) -> bool {
        *self == partner_id
    }
}

impl Owned for User {
    fn is_of(&self, partner_id: PartnerId) -> bool {
        self.partner_id == partner_id
    }
}

impl Owned for UserPage {
    fn is_of(&self, partner_id: PartnerId) -> bool {
        self.partner_id == partner_id && self.users.is_of(partner_id)
    }
}

impl Owned for AuditEntry {
    fn is_of(&self, partner_id: PartnerId) -> bool {
        self.partner_id == partner_id
    }
}

impl<T: Owned> Owned for Vec<T> {
    fn is_of(&self, partner_id: PartnerId) -> bool {
        self.iter().all(|one| one.is_of(partner_id))
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;

use crate::{PartnerId, UserId};

/// The result of bringing a store to the current schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied.
    pub applied: usize,
    /// The users whose address belongs to another user by the current rule.
    pub collisions: Vec<EmailCollision>,
}

/// Two users of one partner whose addresses are the same one by a rule that came after both. Both keep working; a
/// conflict over the address names the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmailCollision {
    /// The partner of both.
    pub partner_id: PartnerId,
    /// The user that has no key by which its address can be found.
    pub user_id: UserId,
    /// The user that has the key.
    pub holder_id: UserId,
}

use crate::{Name, PartnerId, Timestamp};

/// A business partner: the tenant that owns users and API keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Identifies the partner.
    pub id: PartnerId,
    /// What it is called.
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
    /// Since when its keys are refused, if they are.
    pub disabled_at: Option<Timestamp>,
}

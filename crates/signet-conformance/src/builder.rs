use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use signet_domain::{
    Actor, ApiKey, ChangeContext, EmailAddress, KeyMode, KeyScope, Metadata, Name, Partner, PartnerId, SecretHash,
    Timestamp, User, UserChange, UserPatch, ports::IdGenerator,
};

use crate::{ManualClock, SequentialIds};

/// A name that is known to be valid.
///
/// # Panics
/// If it is not.
#[must_use]
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

/// An e-mail address that is known to be valid.
///
/// # Panics
/// If it is not.
#[must_use]
pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("a valid address")
}

/// An instant that is known to be valid RFC 3339.
///
/// # Panics
/// If it is not.
#[must_use]
pub fn instant(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid instant")
}

/// Metadata that is known to be valid.
///
/// # Panics
/// If it is not, or no JSON object.
#[must_use]
pub fn metadata(value: &Value) -> Metadata {
    Metadata::new(value.as_object().expect("an object")).expect("valid metadata")
}

/// Makes valid values with fresh ids, each a millisecond later than the one before. Clones share ids and clock.
#[derive(Debug, Clone)]
pub struct Builder {
    /// Where the ids come from.
    pub ids: SequentialIds,
    /// Where the times come from.
    pub clock: ManualClock,
}

impl Builder {
    /// Starts the ids of that seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self { ids: SequentialIds::new(seed), clock: ManualClock::default() }
    }

    /// A partner, enabled.
    #[must_use]
    pub fn partner(&self) -> Partner {
        Partner {
            id: self.ids.partner_id(),
            name: name("Acme Inc."),
            created_at: self.clock.advance(1),
            disabled_at: None,
        }
    }

    /// A live key that may do everything and does not expire.
    #[must_use]
    pub fn api_key(&self, partner_id: PartnerId) -> ApiKey {
        ApiKey {
            id: self.ids.api_key_id(),
            partner_id,
            name: name("Backend"),
            mode: KeyMode::Live,
            scope: KeyScope::ReadWrite,
            secret_hash: SecretHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned()),
            created_at: self.clock.advance(1),
            expires_at: None,
            revoked_at: None,
        }
    }

    /// The circumstances of a change: an API key, from 192.0.2.7.
    #[must_use]
    pub fn context(&self, partner_id: PartnerId) -> ChangeContext {
        ChangeContext {
            partner_id,
            entry_id: self.ids.audit_entry_id(),
            actor: Actor::ApiKey { id: self.ids.api_key_id(), name: name("Backend") },
            request_id: self.ids.request_id(),
            ip_address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            at: self.clock.advance(1),
        }
    }

    /// John Doe, without metadata, registered with that address.
    #[must_use]
    pub fn registration(&self, partner_id: PartnerId, address: &str) -> UserChange {
        let context = self.context(partner_id);
        User::register(self.ids.user_id(), name("John Doe"), email(address), Metadata::default(), context)
    }

    /// The user after that patch.
    ///
    /// # Panics
    /// If the patch changes nothing.
    #[must_use]
    pub fn change(&self, user: &User, patch: &UserPatch) -> UserChange {
        user.change(patch, self.context(user.partner_id))
            .expect("a valid patch")
            .expect("a patch that changes something")
    }

    /// The user, renamed.
    ///
    /// # Panics
    /// If that is its name.
    #[must_use]
    pub fn renaming(&self, user: &User, to: &str) -> UserChange {
        self.change(user, &UserPatch { name: Some(name(to)), ..UserPatch::default() })
    }

    /// The user with another address.
    ///
    /// # Panics
    /// If that is its address.
    #[must_use]
    pub fn readdressing(&self, user: &User, to: &str) -> UserChange {
        self.change(user, &UserPatch { email: Some(email(to)), ..UserPatch::default() })
    }

    /// The user, removed.
    ///
    /// # Panics
    /// If it is removed already.
    #[must_use]
    pub fn removal(&self, user: &User) -> UserChange {
        user.remove(self.context(user.partner_id)).expect("a user that is not removed")
    }
}

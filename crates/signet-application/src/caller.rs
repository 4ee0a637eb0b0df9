use std::{net::IpAddr, sync::Arc};

use signet_domain::{Actor, ApiKeyId, KeyScope, Name, PartnerId, RequestId};

use crate::Error;

/// Who asks: the holder of a verified API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The partner that the key speaks for.
    pub partner_id: PartnerId,
    /// The public part of the key.
    pub key_id: ApiKeyId,
    /// What the key is called.
    pub key_name: Name,
    /// What the key may do.
    pub scope: KeyScope,
}

/// One request of a caller, with what its audit entry will tell about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Names the request in its response, log lines and audit entry.
    pub request_id: RequestId,
    /// Where the request came from, if that is known.
    pub ip_address: Option<IpAddr>,
}

impl Request {
    /// The partner that asks.
    #[must_use]
    pub fn partner_id(&self) -> PartnerId {
        self.caller.partner_id
    }

    /// Fails with [`Error::InsufficientScope`] unless the key may change things.
    pub(crate) fn require_write(&self) -> Result<(), Error> {
        match self.caller.scope {
            KeyScope::ReadWrite => Ok(()),
            KeyScope::ReadOnly => Err(Error::InsufficientScope),
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::ApiKey { id: self.caller.key_id.clone(), name: self.caller.key_name.clone() }
    }
}

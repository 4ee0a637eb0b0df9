//! Users, partners, API keys and their audit trail, without I/O.
#![deny(missing_docs)]

mod api_key;
mod audit;
mod email;
mod id;
mod invalid;
mod metadata;
mod name;
mod partner;
pub mod ports;
mod replay;
mod request_id;
mod status;
mod text;
mod timestamp;
mod user;

pub use api_key::{ApiKey, ApiKeyId, ApiKeyToken, KeyMode, KeyScope, MalformedToken, Secret, SecretHash};
pub use audit::{Action, Actor, AuditEntry, AuditPosition, ChangeContext, Changes, Field, FieldChange};
pub use email::EmailAddress;
pub use id::{AuditEntryId, PartnerId, UserId};
pub use invalid::Invalid;
pub use metadata::{Metadata, MetadataPatch};
pub use name::Name;
pub use partner::Partner;
pub use replay::replay;
pub use request_id::RequestId;
pub use status::Status;
pub use timestamp::Timestamp;
pub use user::{User, UserChange, UserPatch, UserState, Version};

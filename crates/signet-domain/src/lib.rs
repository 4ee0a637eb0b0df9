//! Users, partners, API keys and their audit trail, without I/O.
//!
//! This crate is the core of Signet Partner Management, and can be the core of a service of yours: it has no database,
//! no web framework, no clock and no randomness. It consists of values that cannot hold nonsense ([`Name`],
//! [`EmailAddress`], [`Metadata`], …), of the [`User`] whose transitions say what changed, and of the [`ports`] through
//! which the use cases of `signet-application` reach the world.
//!
//! # Tutorial: embedding it
//!
//! ## 1. Values and transitions
//!
//! A transition returns the new user *and* the audit entry that tells what changed, as one [`UserChange`]. There is no
//! other way to make one, so no change goes unrecorded.
//!
//! ```
//! use signet_domain::*;
//! # use uuid::Uuid;
//! # fn context(at: i64) -> ChangeContext {
//! #     ChangeContext {
//! #         partner_id: PartnerId::new(Uuid::from_u128(1)),
//! #         entry_id: AuditEntryId::new(Uuid::from_u128(2)),
//! #         actor: Actor::ApiKey {
//! #             id: ApiKeyId::parse("0123456789abcdef").unwrap(),
//! #             name: Name::parse("backend").unwrap(),
//! #         },
//! #         request_id: RequestId::parse("request-1").unwrap(),
//! #         ip_address: None,
//! #         at: Timestamp::from_unix_millis(at).unwrap(),
//! #     }
//! # }
//! # fn main() -> Result<(), Invalid> {
//! let name = Name::parse("  John Doe ")?; // trimmed, in Unicode NFC, 1 to 200 characters
//! let email = EmailAddress::parse("John.Doe@Example.com")?;
//! assert_eq!(email.key(), "john.doe@example.com"); // what uniqueness goes by
//!
//! let id = UserId::parse("1a123288-24e8-4c6d-a847-501bab184f5a")?;
//! let registered = User::register(id, name, email, Metadata::default(), context(1_000));
//! assert_eq!(registered.audit.action, Action::Registered);
//!
//! let suspend = UserPatch { status: Some(Status::Suspended), ..UserPatch::default() };
//! let suspended = registered.user.change(&suspend, context(2_000))?.expect("it was active");
//! assert_eq!(suspended.audit.changes.get(Field::Status).unwrap().to, "suspended");
//! assert_eq!(suspended.user.change(&suspend, context(3_000))?, None); // nothing to record
//!
//! // The trail is complete: replaying it from nothing rebuilds the user.
//! assert_eq!(replay([&registered.audit, &suspended.audit])?, suspended.user);
//! # Ok(()) }
//! ```
//!
//! ## 2. Implementing the ports
//!
//! A port is an async trait whose documentation says what **must** hold. Here is the smallest one over a `HashMap`; the
//! others are no different, and `InMemoryStore` in `signet-conformance` is a complete adapter to compare with.
//!
//! ```
//! use std::{collections::HashMap, sync::Mutex};
//! use signet_domain::{Partner, PartnerId, Timestamp, ports::{PartnerRepository, StoreError}};
//!
//! #[derive(Default)]
//! struct MyStore {
//!     partners: Mutex<HashMap<PartnerId, Partner>>,
//! }
//!
//! #[async_trait::async_trait]
//! impl PartnerRepository for MyStore {
//!     async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
//!         self.partners.lock().unwrap().insert(partner.id, partner);
//!         Ok(())
//!     }
//!
//!     async fn list(&self) -> Result<Vec<Partner>, StoreError> {
//!         let mut partners: Vec<_> = self.partners.lock().unwrap().values().cloned().collect();
//!         partners.sort_by_key(|partner| (partner.created_at, partner.id));
//!         Ok(partners)
//!     }
//!
//!     async fn set_disabled(&self, id: PartnerId, at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
//!         let mut partners = self.partners.lock().unwrap();
//!         let Some(partner) = partners.get_mut(&id) else { return Ok(None) };
//!         partner.disabled_at = at.map(|at| partner.disabled_at.unwrap_or(at)); // the first time stays
//!         Ok(Some(partner.clone()))
//!     }
//! }
//! ```
//!
//! ## 3. Proving it
//!
//! The conformance suite turns each promise of the ports into a `#[test]`. Give it a way to make your adapter:
//!
//! ```
//! # use signet_conformance::InMemoryStore as MyStore;
//! async fn adapter() -> signet_conformance::Adapter {
//!     signet_conformance::Adapter::new(MyStore::default())
//! }
//!
//! signet_conformance::suite!(adapter); // in tests/contract.rs
//! # fn main() {}
//! ```
//!
//! ## 4. Calling the use cases
//!
//! ```
//! use std::sync::Arc;
//! use signet_application::{Caller, Error, Request, users::{GetUser, NewUser, RegisterUser}};
//! # use signet_conformance::{Builder, InMemoryStore as MyStore, ManualClock, SequentialIds};
//! use signet_domain::{EmailAddress, KeyScope, Metadata, Name, RequestId, ports::PartnerRepository};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(MyStore::default());
//! # let (clock, ids) = (ManualClock::default(), SequentialIds::new(1));
//! let register_user = RegisterUser::new(store.clone(), Arc::new(clock), Arc::new(ids));
//! let get_user = GetUser::new(store.clone());
//! # let build = Builder::new(2);
//! # let (partner, key) = { let partner = build.partner(); let key = build.api_key(partner.id); (partner, key) };
//! PartnerRepository::insert(&*store, partner.clone()).await?;
//!
//! // Who asks: from an API key by `VerifyApiKey`, or however your service knows its callers.
//! let caller = Caller { partner_id: partner.id, key_id: key.id, key_name: key.name, scope: KeyScope::ReadWrite };
//! let request = Request { caller: Arc::new(caller), request_id: RequestId::parse("r-1")?, ip_address: None };
//!
//! let john = || -> Result<NewUser, signet_domain::Invalid> {
//!     let (name, email) = (Name::parse("John Doe")?, EmailAddress::parse("john@example.com")?);
//!     Ok(NewUser { name, email, metadata: Metadata::default() })
//! };
//! let user = register_user.execute(&request, john()?).await?;
//! assert_eq!(get_user.execute(&request, user.id).await?, user);
//! assert_eq!(register_user.execute(&request, john()?).await, Err(Error::EmailTaken { existing: user.id }));
//! # Ok(()) }
//! ```
//!
//! `examples/embedder.rs` puts all of this into one small program: `cargo run -p signet-domain --example embedder`.
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

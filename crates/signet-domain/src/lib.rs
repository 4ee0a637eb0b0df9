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
//! let name = Name::parse("  John Doe ")?; // trimmed, in Unicode NFC, 1 to 200 characters, not all invisible
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
//! A port is an async trait whose documentation says what **must** hold. Here are two of them over a `Vec` and a lock;
//! the others are no different, and `InMemoryStore` in `signet-conformance` is a complete adapter to compare with. What
//! matters is [`commit`](ports::UserRepository::commit): it judges and writes in one step, so that nobody comes between.
//!
//! ```
//! use std::sync::{Mutex, MutexGuard};
//! use signet_domain::{AuditEntry, Partner, PartnerId, Timestamp, User, UserChange, UserId};
//! use signet_domain::ports::{CommitError, Page, PartnerRepository, StoreError, UserPage, UserRepository};
//!
//! #[derive(Default)]
//! struct MyStore(Mutex<Tables>);
//!
//! #[derive(Default)]
//! struct Tables {
//!     partners: Vec<Partner>,
//!     users: Vec<User>,
//!     entries: Vec<AuditEntry>,
//! }
//!
//! impl MyStore {
//!     /// Stands for a transaction.
//!     fn tables(&self) -> MutexGuard<'_, Tables> {
//!         self.0.lock().unwrap()
//!     }
//! }
//!
//! fn refused(reason: &str) -> StoreError {
//!     StoreError::Unexpected { reason: reason.to_owned() }
//! }
//!
//! #[async_trait::async_trait]
//! impl UserRepository for MyStore {
//!     async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
//!         let Tables { partners, users, entries } = &mut *self.tables();
//!         let own = |user: &&User| user.partner_id == change.user.partner_id;
//!         let held = users.iter().position(|user| own(&user) && user.id == change.user.id);
//!         // An update replaces the very version that it was made from: else somebody was faster.
//!         if change.replaces().is_some() && change.replaces() != held.map(|index| users[index].version) {
//!             return Err(CommitError::Stale);
//!         }
//!         // Within a partner an address has one owner, who may spell it anew. A database has a unique constraint.
//!         let owner = users.iter().filter(own).find(|user| user.email.key() == change.user.email.key());
//!         if let Some(owner) = owner && (owner.id != change.user.id || change.replaces().is_none()) {
//!             return Err(CommitError::email_taken(owner));
//!         }
//!         match held {
//!             Some(index) if change.replaces().is_some() => users[index] = change.user.clone(),
//!             Some(_) => return Err(refused("a used user id").into()),
//!             None if partners.iter().any(|partner| partner.id == change.user.partner_id) => {
//!                 users.push(change.user.clone()); // the order of registration
//!             }
//!             None => return Err(refused("an unknown partner").into()),
//!         }
//!         // The change and its entry are one: both are there, or neither is.
//!         entries.push(change.audit);
//!         Ok(change.user)
//!     }
//!
//!     async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
//!         let tables = self.tables();
//!         Ok(tables.users.iter().find(|user| user.partner_id == partner_id && user.id == user_id).cloned())
//!     }
//!
//!     async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
//!         let tables = self.tables();
//!         let own = || tables.users.iter().filter(|user| user.partner_id == partner_id);
//!         let skipped = own().skip(usize::try_from(page.offset()).unwrap_or(usize::MAX));
//!         let users = skipped.take(usize::try_from(page.limit()).unwrap()).cloned().collect();
//!         Ok(UserPage { partner_id, users, total: u64::try_from(own().count()).unwrap() })
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl PartnerRepository for MyStore {
//!     async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
//!         let mut tables = self.tables();
//!         if tables.partners.iter().any(|held| held.id == partner.id) {
//!             return Err(refused("a used partner id"));
//!         }
//!         tables.partners.push(partner);
//!         Ok(())
//!     }
//!
//!     async fn list(&self) -> Result<Vec<Partner>, StoreError> {
//!         let mut partners = self.tables().partners.clone();
//!         partners.sort_by_key(|partner| (partner.created_at, partner.id));
//!         Ok(partners)
//!     }
//!
//!     async fn set_disabled(&self, id: PartnerId, at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
//!         let mut tables = self.tables();
//!         let Some(partner) = tables.partners.iter_mut().find(|partner| partner.id == id) else { return Ok(None) };
//!         partner.disabled_at = at.map(|at| partner.disabled_at.unwrap_or(at)); // the first time stays
//!         Ok(Some(partner.clone()))
//!     }
//! }
//! # #[async_trait::async_trait]
//! # impl signet_domain::ports::AuditTrail for MyStore {
//! #     async fn entries(
//! #         &self,
//! #         partner_id: PartnerId,
//! #         _: signet_domain::ports::AuditFilter,
//! #         _: Option<signet_domain::AuditPosition>,
//! #         _: u32,
//! #     ) -> Result<Vec<AuditEntry>, StoreError> {
//! #         let mut entries = self.tables().entries.clone();
//! #         entries.retain(|entry| entry.partner_id == partner_id);
//! #         entries.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
//! #         Ok(entries)
//! #     }
//! # }
//! # macro_rules! prove {
//! #     ($($group:ident: $($behaviour:ident)*;)*) => {
//! #         $($(signet_conformance::run(stringify!($behaviour), adapter, signet_conformance::behaviours::$group::$behaviour);)*)*
//! #     };
//! # }
//! # async fn adapter() -> signet_conformance::Adapter {
//! #     let (store, keys) = (std::sync::Arc::new(MyStore::default()), signet_conformance::InMemoryStore::default());
//! #     signet_conformance::Adapter::from_ports(store.clone(), store.clone(), store, std::sync::Arc::new(keys))
//! # }
//! # fn main() {
//! #     prove! {
//! #         commits: a_stale_change_changes_nothing a_change_under_an_unknown_partner_is_stale
//! #             a_change_to_another_partners_user_is_stale a_taken_address_is_refused_in_any_spelling
//! #             an_address_is_free_under_another_partner stale_comes_before_a_taken_address
//! #             a_user_may_respell_its_own_address an_address_given_up_is_free a_change_and_its_entry_are_one
//! #             a_registration_under_an_unknown_partner_is_refused a_registration_under_a_used_id_is_refused;
//! #         lists: every_page_is_its_window an_offset_past_the_end_gives_the_total a_changed_user_keeps_its_place;
//! #         races: one_of_registrations_and_updates_to_an_address_wins updates_made_again_on_fresh_data_all_survive;
//! #         partners: a_used_partner_id_is_refused partners_are_listed_oldest_first disabling_keeps_the_first_time;
//! #     }
//! # }
//! ```
//!
//! ## 3. Proving it
//!
//! The conformance suite turns each promise of the ports into a `#[test]`. Give it a way to make your adapter, here one
//! whose type implements the four ports of a store:
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
//! use signet_conformance::{Builder, InMemoryStore as MyStore, ManualClock, SequentialIds};
//! use signet_domain::{EmailAddress, KeyScope, Metadata, Name, RequestId, ports::PartnerRepository};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(MyStore::default());
//! let (clock, ids) = (ManualClock::default(), SequentialIds::new(1)); // a `Clock` and an `IdGenerator` of yours
//! let register_user = RegisterUser::new(store.clone(), Arc::new(clock), Arc::new(ids));
//! let get_user = GetUser::new(store.clone());
//! let build = Builder::new(2);
//! let partner = build.partner();
//! let key = build.api_key(partner.id);
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
//! assert_eq!(register_user.execute(&request, john()?).await, Err(Error::EmailTaken { holder: (&user).into() }));
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
mod unicode;
mod user;

pub use api_key::{ApiKey, ApiKeyId, ApiKeyToken, KeyMode, KeyScope, MalformedToken, Secret, SecretHash};
pub use audit::{Action, Actor, AuditEntry, AuditPosition, ChangeContext, Changes, Field, FieldChange};
pub use email::EmailAddress;
pub use id::{AuditEntryId, PartnerId, UserId};
pub use invalid::Invalid;
pub use metadata::{Metadata, MetadataPatch};
pub use name::Name;
pub use partner::Partner;
pub use replay::{Replay, replay};
pub use request_id::RequestId;
pub use status::Status;
pub use timestamp::Timestamp;
pub use user::{User, UserChange, UserPatch, UserState, Version};

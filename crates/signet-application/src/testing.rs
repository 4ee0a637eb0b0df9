//! What the unit tests of the use cases share.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use signet_domain::{
    ApiKeyId, AuditEntryId, ChangeContext, EmailAddress, KeyScope, Metadata, Name, PartnerId, RequestId, Secret,
    Timestamp, User, UserChange, UserId,
    ports::{Clock, MockIdGenerator, StoreError},
};
use uuid::Uuid;

use crate::{Caller, Request};

pub(crate) const PARTNER: PartnerId = PartnerId::new(Uuid::from_u128(1));
pub(crate) const OTHER_PARTNER: PartnerId = PartnerId::new(Uuid::from_u128(2));
pub(crate) const USER: UserId = UserId::new(Uuid::from_u128(3));

pub(crate) fn request(scope: KeyScope) -> Request {
    let caller = Caller { partner_id: PARTNER, key_id: key_id(), key_name: name("backend"), scope };
    Request {
        caller: Arc::new(caller),
        request_id: RequestId::parse("request-1").expect("valid"),
        ip_address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
    }
}

pub(crate) fn key_id() -> ApiKeyId {
    ApiKeyId::parse("0123456789abcdef").expect("valid")
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

pub(crate) fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("valid")
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).expect("in range")
}

pub(crate) fn registration(partner_id: PartnerId) -> UserChange {
    let context = ChangeContext { partner_id, ..context(0) };
    User::register(USER, name("John Doe"), email("john@example.com"), Metadata::default(), context)
}

pub(crate) fn context(millis: i64) -> ChangeContext {
    let request = request(KeyScope::ReadWrite);
    ChangeContext {
        partner_id: PARTNER,
        entry_id: AuditEntryId::new(Uuid::from_u128(9)),
        actor: request.actor(),
        request_id: request.request_id,
        ip_address: None,
        at: at(millis),
    }
}

pub(crate) fn unavailable() -> StoreError {
    StoreError::Unavailable { reason: "gone".to_owned() }
}

pub(crate) fn ids() -> Arc<MockIdGenerator> {
    let mut ids = MockIdGenerator::new();
    ids.expect_user_id().return_const(USER);
    ids.expect_partner_id().return_const(PARTNER);
    ids.expect_audit_entry_id().return_const(AuditEntryId::new(Uuid::from_u128(4)));
    ids.expect_api_key_id().returning(key_id);
    ids.expect_secret().returning(|| Secret::parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345").expect("valid"));
    Arc::new(ids)
}

/// A clock that stands still until it is set.
#[derive(Default)]
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(millis)))
    }

    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

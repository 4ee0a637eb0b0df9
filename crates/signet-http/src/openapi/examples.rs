//! The examples of the specification, completed.

use serde_json::{Value, json};
use signet_domain::{Status, Timestamp, UserId, ports::EmailHolder};

pub(crate) const USER_ID: &str = "1a123288-24e8-4c6d-a847-501bab184f5a";
pub(crate) const EMAIL: &str = "johasdn.doe@example.com";
pub(crate) const REGISTERED_AT: &str = "2025-09-30T15:01:53.188Z";
const UPDATED_AT: &str = "2025-09-30T15:11:41.955Z";
/// The request id of every example.
pub(crate) const REQUEST_ID: &str = "01999b3e-6a54-7c3e-9d5f-2f4f6c1f8a11";

pub(crate) fn metadata() -> Value {
    json!({ "plan": "gold", "tags": ["eu"] })
}

pub(crate) fn registration() -> Value {
    json!({ "name": "John Doe", "email": EMAIL })
}

pub(crate) fn patch() -> Value {
    json!({ "userId": USER_ID, "status": "suspended" })
}

pub(crate) fn reference() -> Value {
    json!({ "userId": USER_ID })
}

/// The removed user that has an address.
pub(crate) fn holder() -> Option<EmailHolder> {
    let (id, removed_at) = (UserId::parse(USER_ID).ok()?, Timestamp::parse(UPDATED_AT).ok()?);
    Some(EmailHolder { id, status: Status::Inactive, removed_at: Some(removed_at) })
}

pub(crate) fn user() -> Value {
    json!({
        "userId": USER_ID,
        "name": "John Doe",
        "email": EMAIL,
        "status": "active",
        "metadata": {},
        "registeredAt": REGISTERED_AT,
        "updatedAt": REGISTERED_AT,
    })
}

pub(crate) fn suspended_user() -> Value {
    let mut user = user();
    user["status"] = "suspended".into();
    user["updatedAt"] = UPDATED_AT.into();
    user
}

pub(crate) fn removed_user() -> Value {
    json!({ "userId": USER_ID, "status": "inactive", "removedAt": UPDATED_AT })
}

pub(crate) fn user_list() -> Value {
    json!({ "users": [user()], "pagination": { "limit": 20, "offset": 0, "total": 1, "hasMore": false } })
}

pub(crate) fn audit_trail() -> Value {
    json!({
        "entries": [{
            "entryId": "01999b47-61d3-7b0a-8a3b-0d1c2e3f4a5b",
            "userId": USER_ID,
            "action": "user.updated",
            "actor": { "type": "api_key", "id": "0123456789abcdef", "name": "Backend" },
            "changes": { "status": { "from": "active", "to": "suspended" } },
            "requestId": REQUEST_ID,
            "ipAddress": "203.0.113.7",
            "occurredAt": UPDATED_AT,
        }],
        "pagination": { "limit": 20, "hasMore": false },
    })
}

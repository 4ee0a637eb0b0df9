use serde::Serialize;
use signet_domain::{EmailAddress, Metadata, Name, Status, Timestamp, User, UserId};
use utoipa::ToSchema;

use crate::openapi::schemas;

/// A user of the partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(crate) struct UserBody<'a> {
    #[schema(schema_with = schemas::user_id)]
    user_id: UserId,
    #[schema(schema_with = schemas::name)]
    name: &'a Name,
    #[schema(schema_with = schemas::email)]
    email: &'a EmailAddress,
    #[schema(schema_with = schemas::status)]
    status: Status,
    #[schema(schema_with = schemas::metadata)]
    metadata: &'a Metadata,
    #[schema(schema_with = schemas::registered_at)]
    registered_at: Timestamp,
    #[schema(schema_with = schemas::updated_at)]
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::removed_at)]
    removed_at: Option<Timestamp>,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            user_id: user.id,
            name: &user.name,
            email: &user.email,
            status: user.status,
            metadata: &user.metadata,
            registered_at: user.registered_at,
            updated_at: user.updated_at,
            removed_at: user.removed_at,
        }
    }
}

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde_json::Value;
use signet_domain::{EmailAddress, Invalid, MetadataPatch, Name, Status, UserId, UserPatch};
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{RefOr, Response, Schema},
};

use super::{Call, user::UserBody};
use crate::{
    body,
    envelope::{Answer, success},
    error::{Code, Failure},
    fields::{both, object, text},
    json,
    media_type::{JSON, MERGE_PATCH},
    openapi::{examples, responses::Documented, schemas},
};

const MESSAGE: &str = "User updated successfully.";

/// Update a user
///
/// Changes the fields that are given and leaves the others as they are. `metadata` is a JSON Merge Patch (RFC 7396):
/// `null` deletes a key, and `"metadata": null` deletes all of them. Setting the status of a removed user to `active` or `suspended` restores it. An update that
/// changes nothing succeeds without a trace.
#[utoipa::path(
    patch,
    path = "/update-user",
    operation_id = "updateUser",
    tag = "Users",
    request_body(
        content = UserPatchBody,
        description = "The user, and at least one field to change. `application/merge-patch+json` is accepted, too.",
        example = json!(examples::patch())
    ),
    responses(Responses)
)]
pub(crate) async fn update_user(call: Call<'_>) -> Answer {
    let body = body::read(call.exchange, &[JSON, MERGE_PATCH]).await?;
    let ((), (user_id, patch)) = both(call.query().finish(Some(())), read(&body))?;
    let user = call.api().update_user.execute(&call.request, user_id, &patch).await?;
    success(StatusCode::OK, Some(MESSAGE), &UserBody::from(&user))
}

fn read(body: &[u8]) -> Result<(UserId, UserPatch), Failure> {
    let mut fields = json::members(body)?;
    let user_id = fields.required("userId", text(UserId::parse));
    let patch = UserPatch {
        name: fields.optional("name", text(Name::parse)),
        email: fields.optional("email", text(EmailAddress::parse)),
        status: fields.optional("status", text(Status::parse)),
        metadata: fields.optional("metadata", metadata_patch),
    };
    Ok((fields.finish(user_id)?, patch))
}

/// A merge patch of `null` deletes what it is applied to (RFC 7396).
fn metadata_patch(value: Value) -> Result<MetadataPatch, Invalid> {
    if value.is_null() { Ok(MetadataPatch::clear()) } else { object(MetadataPatch::new)(value) }
}

struct UserPatchBody;

impl PartialSchema for UserPatchBody {
    fn schema() -> RefOr<Schema> {
        schemas::strict_object()
            .property("userId", schemas::user_id())
            .property("name", schemas::name())
            .property("email", schemas::email())
            .property("status", schemas::status())
            .property("metadata", schemas::metadata_patch())
            .required("userId")
            .min_properties(Some(2))
            .into()
    }
}

impl ToSchema for UserPatchBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "UserPatch".into()
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::OK, "The user as it is now.", Some(MESSAGE))
            .data(schemas::user(), examples::suspended_user())
            .invalid("status", "must be active, inactive or suspended")
            .invalid("metadata", "must be a JSON object")
            .refused_with(&[
                Code::ValidationFailed,
                Code::MalformedJson,
                Code::InsufficientScope,
                Code::UserNotFound,
                Code::EmailTaken,
                Code::PayloadTooLarge,
                Code::UnsupportedMediaType,
            ])
    }
}

use std::{borrow::Cow, collections::BTreeMap};

use actix_web::http::StatusCode;
use serde::Serialize;
use signet_domain::{Status, Timestamp, UserId};
use utoipa::{
    IntoParams, IntoResponses, PartialSchema, ToSchema,
    openapi::{
        RefOr, Response, Schema,
        path::{Parameter, ParameterIn},
    },
};

use super::Call;
use crate::{
    body,
    envelope::{Answer, success},
    error::{Code, Detail, Failure},
    fields::{Fields, both, text, word},
    json,
    media_type::JSON,
    openapi::{examples, responses::Documented, schemas},
};

const MESSAGE: &str = "User removed successfully.";

/// What is left of a user that was removed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RemovedUser)]
pub(crate) struct RemovedUserBody {
    #[schema(schema_with = schemas::user_id)]
    user_id: UserId,
    #[schema(schema_with = schemas::inactive)]
    status: Status,
    #[schema(schema_with = schemas::removed_at)]
    removed_at: Timestamp,
}

/// Remove a user
///
/// A soft delete: the user becomes inactive and keeps its e-mail address; update-user can restore it. Removing a removed
/// user again succeeds with the first `removedAt`. The id goes in the body or, for clients that send no body with
/// `DELETE`, in the query; where both are given they must agree.
#[utoipa::path(
    delete,
    path = "/remove-user",
    operation_id = "removeUser",
    tag = "Users",
    params(Parameters),
    request_body(content = UserReferenceBody, description = "The user.", example = json!(examples::reference())),
    responses(Responses)
)]
pub(crate) async fn remove_user(call: Call<'_>) -> Answer {
    let body = body::read(call.exchange, &[JSON]).await?;
    let user_id = read(call.query(), &body)?;
    let removed_at = call.api().remove_user.execute(&call.request, user_id).await?;
    success(StatusCode::OK, Some(MESSAGE), &RemovedUserBody { user_id, status: Status::Inactive, removed_at })
}

fn read(query: Fields<'_, Cow<'_, str>>, body: &[u8]) -> Result<UserId, Failure> {
    match both(read_query(query), read_body(body))? {
        (Some(one), Some(other)) if one != other => Err("must be the same in the body and in the query"),
        (one, other) => one.or(other).ok_or("is required"),
    }
    .map_err(|rule| Failure::validation(vec![Detail::new("userId", rule)]))
}

fn read_query(mut query: Fields<'_, Cow<'_, str>>) -> Result<Option<UserId>, Failure> {
    let user_id = query.optional("userId", word(UserId::parse));
    query.finish(Some(user_id))
}

fn read_body(body: &[u8]) -> Result<Option<UserId>, Failure> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut fields = json::members(body)?;
    let user_id = fields.required("userId", text(UserId::parse));
    fields.finish(user_id).map(Some)
}

struct UserReferenceBody;

impl PartialSchema for UserReferenceBody {
    fn schema() -> RefOr<Schema> {
        schemas::strict_object().property("userId", schemas::user_id()).required("userId").into()
    }
}

impl ToSchema for UserReferenceBody {
    fn name() -> Cow<'static, str> {
        "UserReference".into()
    }
}

struct Parameters;

impl IntoParams for Parameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![schemas::query("userId", schemas::user_id(), "Which user, where there is no body.")]
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::OK, "The user is removed.", Some(MESSAGE))
            .data(schemas::removed_user(), examples::removed_user())
            .invalid("userId", "must be the same in the body and in the query")
            .refused_with(&[
                Code::ValidationFailed,
                Code::MalformedJson,
                Code::InsufficientScope,
                Code::UserNotFound,
                Code::PayloadTooLarge,
                Code::UnsupportedMediaType,
            ])
    }
}

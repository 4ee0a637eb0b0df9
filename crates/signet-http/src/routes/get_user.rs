use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use signet_domain::UserId;
use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        RefOr, Required, Response,
        path::{Parameter, ParameterIn},
    },
};

use super::{Call, user::UserBody};
use crate::{
    envelope::{Answer, success},
    error::Code,
    fields::word,
    openapi::{examples, responses::Documented, schemas},
};

/// Get one user
///
/// Returns a user of the partner, removed or not.
#[utoipa::path(
    get,
    path = "/get-user",
    operation_id = "getUser",
    tag = "Users",
    params(Parameters),
    responses(Responses)
)]
pub(crate) async fn get_user(call: Call<'_>) -> Answer {
    let mut query = call.query();
    let user_id = query.required("userId", word(UserId::parse));
    let user_id = query.finish(user_id)?;
    let user = call.api().get_user.execute(&call.request, user_id).await?;
    success(StatusCode::OK, None, &UserBody::from(&user))
}

struct Parameters;

impl IntoParams for Parameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut user_id = schemas::query("userId", schemas::user_id(), "Which user.");
        user_id.required = Required::True;
        vec![user_id]
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::OK, "The user.", None)
            .data(schemas::user(), examples::user())
            .invalid("userId", "is required")
            .refused_with(&[Code::ValidationFailed, Code::UserNotFound])
    }
}

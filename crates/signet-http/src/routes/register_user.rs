use std::collections::BTreeMap;

use actix_web::http::{
    StatusCode,
    header::{HeaderValue, LOCATION},
};
use signet_application::users::NewUser;
use signet_domain::{EmailAddress, Metadata, Name};
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{RefOr, Response, Schema},
};

use super::{BASE, Call, user::UserBody};
use crate::{
    body,
    envelope::{Answer, success},
    error::{Code, Failure},
    fields::{both, object, text},
    json,
    media_type::JSON,
    openapi::{examples, responses::Documented, schemas},
};

const MESSAGE: &str = "User registered successfully.";

/// Register a user
///
/// Adds an active user by name and e-mail address. No two users of a partner, removed ones included, can have the same
/// address, compared without regard to case: a duplicate is answered with `409 email_taken` and the id of the user that
/// has it.
#[utoipa::path(
    post,
    path = "/register-user",
    operation_id = "registerUser",
    tag = "Users",
    request_body(content = NewUserBody, description = "The new user.", example = json!(examples::registration())),
    responses(Responses)
)]
pub(crate) async fn register_user(call: Call<'_>) -> Answer {
    let body = body::read(call.exchange, &[JSON]).await?;
    let ((), new) = both(call.query().finish(Some(())), read(&body))?;
    let user = call.api().register_user.execute(&call.request, new).await?;
    let mut response = success(StatusCode::CREATED, Some(MESSAGE), &UserBody::from(&user))?;
    let location = format!("{BASE}/get-user?userId={}", user.id);
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_str(&location).map_err(|error| Failure::internal(&error))?);
    Ok(response)
}

fn read(body: &[u8]) -> Result<NewUser, Failure> {
    let mut fields = json::members(body)?;
    let name = fields.required("name", text(Name::parse));
    let email = fields.required("email", text(EmailAddress::parse));
    let metadata = fields.optional("metadata", object(|object| Metadata::new(&object))).unwrap_or_default();
    let (name, email) = fields.finish(name.zip(email))?;
    Ok(NewUser { name, email, metadata })
}

struct NewUserBody;

impl PartialSchema for NewUserBody {
    fn schema() -> RefOr<Schema> {
        schemas::strict_object()
            .property("name", schemas::name())
            .property("email", schemas::email())
            .property("metadata", schemas::metadata())
            .required("name")
            .required("email")
            .into()
    }
}

impl ToSchema for NewUserBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "NewUser".into()
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::CREATED, "The user was registered.", Some(MESSAGE))
            .data(schemas::user(), examples::user())
            .header("Location", "Where the user can be read.", schemas::location())
            .invalid("name", "must be 1 to 200 characters")
            .invalid("emial", "is not a field of this request")
            .refused_with(&[
                Code::ValidationFailed,
                Code::MalformedJson,
                Code::InsufficientScope,
                Code::EmailTaken,
                Code::PayloadTooLarge,
                Code::UnsupportedMediaType,
            ])
    }
}

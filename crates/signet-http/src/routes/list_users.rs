use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Serialize;
use signet_domain::{Invalid, ports::Page};
use utoipa::{
    IntoParams, IntoResponses, ToSchema,
    openapi::{
        RefOr, Response,
        path::{Parameter, ParameterIn},
    },
};

use super::{Call, user::UserBody};
use crate::{
    envelope::{Answer, success},
    error::Code,
    fields::{count, word},
    openapi::{examples, responses::Documented, schemas},
};

const MESSAGE: &str = "Users retrieved successfully.";

#[derive(Serialize)]
struct UserList<'a> {
    users: Vec<UserBody<'a>>,
    pagination: PaginationBody,
}

/// Which part of the list this is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pagination)]
pub(crate) struct PaginationBody {
    #[schema(schema_with = schemas::limit)]
    limit: u32,
    #[schema(schema_with = schemas::offset)]
    offset: u64,
    #[schema(schema_with = schemas::total)]
    total: u64,
    #[schema(schema_with = schemas::has_more)]
    has_more: bool,
}

/// List all users
///
/// Returns the partner's users in the order of their registration, oldest first, removed ones included. New
/// registrations do not shift pages that were read already.
#[utoipa::path(
    get,
    path = "/all-users",
    operation_id = "listUsers",
    tag = "Users",
    params(Parameters),
    responses(Responses)
)]
pub(crate) async fn list_users(call: Call<'_>) -> Answer {
    let mut query = call.query();
    let limit = query.optional("limit", word(limit)).unwrap_or(Page::DEFAULT_LIMIT);
    let offset = query.optional("offset", word(offset)).unwrap_or(0);
    let page = query.finish(Page::new(limit, offset).ok())?;
    call.ensure_room_for_page()?;
    let found = call.api().list_users.execute(&call.request, page).await?;
    let users: Vec<_> = found.users.iter().map(UserBody::from).collect();
    let end = offset.saturating_add(u64::try_from(users.len()).unwrap_or(u64::MAX));
    let pagination = PaginationBody { limit, offset, total: found.total, has_more: end < found.total };
    success(StatusCode::OK, Some(MESSAGE), &UserList { users, pagination })
}

/// A limit within its bounds; it is never clamped.
pub(super) fn limit(text: &str) -> Result<u32, Invalid> {
    let limit = u32::try_from(count(text)?).unwrap_or(u32::MAX);
    Page::new(limit, 0).map(Page::limit)
}

fn offset(text: &str) -> Result<u64, Invalid> {
    Page::new(Page::DEFAULT_LIMIT, count(text)?).map(Page::offset)
}

struct Parameters;

impl IntoParams for Parameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            schemas::query("limit", schemas::limit_parameter(), "How many users to return at most."),
            schemas::query("offset", schemas::offset_parameter(), "How many users to skip."),
        ]
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::OK, "One page of the users.", Some(MESSAGE))
            .data(
                schemas::object()
                    .property("users", schemas::array_of(schemas::user()))
                    .property("pagination", schemas::pagination())
                    .required("users")
                    .required("pagination"),
                examples::user_list(),
            )
            .invalid("limit", "must be 1 to 100")
            .invalid("ofset", "is not a parameter of this route")
            .refused_with(&[Code::ValidationFailed])
    }
}

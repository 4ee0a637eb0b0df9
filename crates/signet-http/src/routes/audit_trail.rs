use std::{collections::BTreeMap, net::IpAddr};

use actix_web::http::StatusCode;
use serde::Serialize;
use signet_application::audit::AuditQuery;
use signet_domain::{
    Action, Actor, AuditEntry, AuditEntryId, Changes, RequestId, Timestamp, UserId,
    ports::{AuditFilter, Page},
};
use utoipa::{
    IntoParams, IntoResponses, ToSchema,
    openapi::{
        RefOr, Response,
        path::{Parameter, ParameterIn},
    },
};

use super::{Call, list_users::limit};
use crate::{
    envelope::{Answer, success},
    error::Code,
    fields::word,
    openapi::{examples, responses::Documented, schemas},
};

const MESSAGE: &str = "Audit trail retrieved successfully.";

#[derive(Serialize)]
struct Trail<'a> {
    entries: Vec<AuditEntryBody<'a>>,
    pagination: CursorPagination,
}

/// One line of the audit trail. Written with its change, never altered, never deleted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(crate) struct AuditEntryBody<'a> {
    #[schema(schema_with = schemas::entry_id)]
    entry_id: AuditEntryId,
    #[schema(schema_with = schemas::user_id)]
    user_id: UserId,
    #[schema(schema_with = schemas::action)]
    action: Action,
    #[schema(schema_with = schemas::actor)]
    actor: &'a Actor,
    #[schema(schema_with = schemas::changes)]
    changes: &'a Changes,
    #[schema(schema_with = schemas::request_id)]
    request_id: &'a RequestId,
    #[schema(schema_with = schemas::ip_address, required)]
    ip_address: Option<IpAddr>,
    #[schema(schema_with = schemas::occurred_at)]
    occurred_at: Timestamp,
}

/// Where the next page of the trail starts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CursorPagination {
    #[schema(schema_with = schemas::limit)]
    limit: u32,
    #[schema(schema_with = schemas::has_more)]
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::cursor)]
    next_cursor: Option<String>,
}

impl<'a> From<&'a AuditEntry> for AuditEntryBody<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            entry_id: entry.id,
            user_id: entry.user_id,
            action: entry.action,
            actor: &entry.actor,
            changes: &entry.changes,
            request_id: &entry.request_id,
            ip_address: entry.ip_address,
            occurred_at: entry.occurred_at,
        }
    }
}

/// List the audit trail
///
/// Returns what changed the partner's users, newest first: who, when, from where, and each changed field before and
/// after. A cursor belongs to the filters that it was given out for.
#[utoipa::path(
    get,
    path = "/audit-trail",
    operation_id = "listAuditTrail",
    tag = "Audit trail",
    params(Parameters),
    responses(Responses)
)]
pub(crate) async fn list_audit_trail(call: Call<'_>) -> Answer {
    let mut query = call.query();
    let user_id = query.optional("userId", word(UserId::parse));
    let action = query.optional("action", word(Action::parse));
    let limit = query.optional("limit", word(limit)).unwrap_or(Page::DEFAULT_LIMIT);
    let cursor = query.optional("cursor", word(|text| Ok(text.to_owned())));
    query.finish(Some(()))?;
    let asked = AuditQuery { filter: AuditFilter { user_id, action }, limit, cursor };
    call.ensure_room_for_page()?;
    let page = call.api().list_audit_trail.execute(&call.request, asked).await?;
    let entries = page.entries.iter().map(AuditEntryBody::from).collect();
    let pagination = CursorPagination { limit, has_more: page.next_cursor.is_some(), next_cursor: page.next_cursor };
    success(StatusCode::OK, Some(MESSAGE), &Trail { entries, pagination })
}

struct Parameters;

impl IntoParams for Parameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            schemas::query("userId", schemas::user_id(), "Only the changes of this user."),
            schemas::query("action", schemas::action(), "Only changes of this kind."),
            schemas::query("limit", schemas::limit_parameter(), "How many entries to return at most."),
            schemas::query("cursor", schemas::cursor(), "The `nextCursor` of the page before."),
        ]
    }
}

struct Responses;

impl IntoResponses for Responses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Documented::success(StatusCode::OK, "One page of the trail.", Some(MESSAGE))
            .data(
                schemas::object()
                    .property("entries", schemas::array_of(schemas::audit_entry()))
                    .property("pagination", schemas::cursor_pagination())
                    .required("entries")
                    .required("pagination"),
                examples::audit_trail(),
            )
            .invalid("limit", "must be 1 to 100")
            .refused_with(&[Code::ValidationFailed, Code::InvalidCursor])
    }
}

//! The two envelopes that every answer comes in, written as JSON straight from what the domain holds.

use actix_web::{
    HttpResponse,
    body::MessageBody,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use signet_domain::{RequestId, Status, Timestamp, UserId};

use crate::error::{Detail, Failure};

/// What a route answers.
pub(crate) type Answer = Result<HttpResponse, Failure>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"signet\"");

#[derive(Serialize)]
struct Answered<'a, T> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    data: &'a T,
}

#[derive(Serialize)]
struct Refusal<'a> {
    success: bool,
    message: &'a str,
    error: Problem<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    code: &'static str,
    request_id: &'a RequestId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [Detail],
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_user_status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_user_removed_at: Option<Timestamp>,
}

/// The request did what it was meant to do.
pub(crate) fn success<T: Serialize>(status: StatusCode, message: Option<&'static str>, data: &T) -> Answer {
    let mut json = Vec::with_capacity(512);
    serde_json::to_writer(&mut json, &Answered { success: true, message, data })
        .map_err(|error| Failure::internal(&error))?;
    Ok(response(status, json))
}

/// The request was refused.
pub(crate) fn refusal(failure: &Failure, request_id: &RequestId) -> HttpResponse {
    let status = failure.code.status();
    let mut response = response(status, refusal_json(failure, request_id));
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some((name, value)) = failure.header.as_deref() {
        headers.insert(name.clone(), value.clone());
    }
    response
}

/// The body of a refusal; also what the documentation shows as an example of it.
pub(crate) fn refusal_json(failure: &Failure, request_id: &RequestId) -> Vec<u8> {
    let error = Problem {
        code: failure.code.as_str(),
        request_id,
        details: &failure.details,
        existing_user_id: failure.existing_user.map(|user| user.id),
        existing_user_status: failure.existing_user.map(|user| user.status),
        existing_user_removed_at: failure.existing_user.and_then(|user| user.removed_at),
    };
    let refusal = Refusal { success: false, message: &failure.message, error };
    // Strings, a UUID and nothing else: there is nothing in it that JSON could not hold.
    serde_json::to_vec(&refusal).unwrap_or_default()
}

fn response(status: StatusCode, json: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, json.boxed());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

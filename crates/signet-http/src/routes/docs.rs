//! The documentation: Swagger UI and the `OpenAPI` document, all from the binary.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY},
    },
    web::Bytes,
};

use crate::{
    body,
    envelope::Answer,
    error::{Code, Failure},
    exchange::Exchange,
    openapi,
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// Nothing from elsewhere, no script in the page. Swagger UI styles its elements by attributes and draws its icons from
/// data URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

static DOCUMENT_JSON: LazyLock<Bytes> = LazyLock::new(|| openapi::openapi_json().into());
static DOCUMENT_YAML: LazyLock<Bytes> = LazyLock::new(|| openapi::openapi_yaml().into());

/// `/docs`. Its links are relative, so that it also works behind a proxy that adds a prefix.
pub(super) fn page() -> HttpResponse {
    let mut response = content(HTML, Bytes::from_static(include_bytes!("docs/index.html")));
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    response
}

/// `/docs/{asset}`: the files that the page names, and no others.
pub(super) async fn asset(exchange: &Exchange) -> Answer {
    match exchange.http.match_info().query("asset") {
        "init.js" => Ok(content(SCRIPT, Bytes::from_static(include_bytes!("docs/init.js")))),
        name @ "swagger-ui-bundle.js" => vendored(name, SCRIPT),
        name @ "swagger-ui.css" => vendored(name, STYLE),
        _ => Err(Failure::new(Code::RouteNotFound)),
    }
}

pub(super) fn openapi_json() -> HttpResponse {
    content(JSON, DOCUMENT_JSON.clone())
}

pub(super) fn openapi_yaml() -> HttpResponse {
    content(YAML, DOCUMENT_YAML.clone())
}

fn vendored(name: &str, content_type: HeaderValue) -> Answer {
    // The configuration only matters for a file that is not served from here.
    let file = utoipa_swagger_ui::serve(name, Arc::default()).map_err(|error| Failure::internal(&error))?;
    let file = file.ok_or_else(|| Failure::internal(&"a file of Swagger UI is missing"))?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Ok(content(content_type, bytes))
}

fn content(content_type: HeaderValue, bytes: Bytes) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, body::whole(bytes));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

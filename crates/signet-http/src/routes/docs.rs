//! The pages for browsers and the documentation: Swagger UI, the guide and the `OpenAPI` document, all from the binary.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpResponse,
    body::MessageBody,
    guard::GuardContext,
    http::{
        Method, StatusCode,
        header::{
            ACCEPT, Accept, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
            Quality, REFERRER_POLICY, VARY,
        },
    },
    web::Bytes,
};
use mime::Mime;

use crate::{
    compression::{Accepted, GZIP, gzip},
    envelope::Answer,
    error::{Code, Failure},
    exchange::Exchange,
    openapi,
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The guide is Markdown, which browsers show as text and offer to save by its own name.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// Nothing from elsewhere, no script or style in the page. Swagger UI draws its icons from data URLs.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// A document that never changes, compressed once.
struct Document {
    content_type: HeaderValue,
    plain: Bytes,
    compressed: Bytes,
}

static OPENAPI_JSON: LazyLock<Document> = LazyLock::new(|| Document::new(JSON, openapi::openapi_json().into()));
static OPENAPI_YAML: LazyLock<Document> = LazyLock::new(|| Document::new(YAML, openapi::openapi_yaml().into()));
static HOME: LazyLock<Document> = LazyLock::new(|| Document::of(HTML, include_bytes!("docs/home.html")));
static GUIDE: LazyLock<Document> = LazyLock::new(|| Document::of(TEXT, include_bytes!("../../../../docs/api.md")));
static INDEX: LazyLock<Document> = LazyLock::new(|| Document::of(HTML, include_bytes!("docs/index.html")));
static SCRIPT_OF_INDEX: LazyLock<Document> = LazyLock::new(|| Document::of(SCRIPT, include_bytes!("docs/init.js")));
static SWAGGER_UI_SCRIPT: LazyLock<Option<Document>> = LazyLock::new(|| vendored("swagger-ui-bundle.js", SCRIPT));
static SWAGGER_UI_STYLE: LazyLock<Option<Document>> = LazyLock::new(|| vendored("swagger-ui.css", STYLE));

/// Whether a request for `/` comes from a browser: it names HTML, and would rather have it than JSON. A program that
/// comes here by mistake finds no such route.
pub(super) fn is_browser(request: &GuardContext<'_>) -> bool {
    let accepted = request.header::<Accept>().map(|accepted| accepted.0).unwrap_or_default();
    let quality = |wanted: Mime| {
        let named = accepted.iter().find(|given| given.item.essence_str() == wanted.essence_str());
        named.map_or(Quality::ZERO, |given| given.quality)
    };
    let reads = [Method::GET, Method::HEAD].contains(&request.head().method);
    reads && quality(mime::TEXT_HTML) > quality(mime::APPLICATION_JSON)
}

/// `/`, for browsers.
pub(super) fn home(exchange: &Exchange) -> HttpResponse {
    let mut response = page_of(&HOME, exchange);
    response.headers_mut().append(VARY, HeaderValue::from(ACCEPT));
    response
}

/// `/docs`. Its links are relative, so that it also works behind a proxy that adds a prefix.
pub(super) fn page(exchange: &Exchange) -> HttpResponse {
    page_of(&INDEX, exchange)
}

/// `/docs/` leads to `/docs`, relative for the same reason.
pub(super) fn redirect() -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../docs"));
    response
}

fn page_of(document: &Document, exchange: &Exchange) -> HttpResponse {
    let mut response = document.answer(exchange);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    response
}

/// `/docs/{asset}`: the files that the page names, and no others.
pub(super) async fn asset(exchange: &Exchange) -> Answer {
    match exchange.http.match_info().query("asset") {
        "init.js" => Ok(SCRIPT_OF_INDEX.answer(exchange)),
        "api.md" => Ok(page_of(&GUIDE, exchange)),
        "swagger-ui-bundle.js" => answer_vendored(&SWAGGER_UI_SCRIPT, exchange),
        "swagger-ui.css" => answer_vendored(&SWAGGER_UI_STYLE, exchange),
        _ => Err(Failure::new(Code::RouteNotFound)),
    }
}

pub(super) fn openapi_json(exchange: &Exchange) -> HttpResponse {
    OPENAPI_JSON.answer(exchange)
}

pub(super) fn openapi_yaml(exchange: &Exchange) -> HttpResponse {
    OPENAPI_YAML.answer(exchange)
}

/// A file of Swagger UI.
fn vendored(name: &str, content_type: HeaderValue) -> Option<Document> {
    // The configuration only matters for a file that is not served from here.
    let file = utoipa_swagger_ui::serve(name, Arc::default()).ok()??;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Some(Document::new(content_type, bytes))
}

fn answer_vendored(file: &'static LazyLock<Option<Document>>, exchange: &Exchange) -> Answer {
    let file = file.as_ref().ok_or_else(|| Failure::internal(&"a file of Swagger UI is missing"))?;
    Ok(file.answer(exchange))
}

impl Document {
    fn of(content_type: HeaderValue, bytes: &'static [u8]) -> Self {
        Self::new(content_type, Bytes::from_static(bytes))
    }

    fn new(content_type: HeaderValue, plain: Bytes) -> Self {
        let compressed = gzip(&plain);
        Self { content_type, plain, compressed }
    }

    fn answer(&self, exchange: &Exchange) -> HttpResponse {
        let is_compressed = Accepted::of(&exchange.http) != Accepted::Identity;
        let bytes = if is_compressed { &self.compressed } else { &self.plain };
        let mut response = HttpResponse::with_body(StatusCode::OK, bytes.clone().boxed());
        response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        if is_compressed {
            response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        }
        response
    }
}

//! The `OpenAPI` document: put together from what stands next to each handler, so that it cannot describe another API.

pub(crate) mod examples;
pub(crate) mod responses;
pub(crate) mod schemas;

use std::borrow::Cow;

use signet_domain::Timestamp;
use utoipa::{
    OpenApi as _, PartialSchema, ToSchema,
    openapi::{
        Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, SecurityRequirement, Server,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::routes::{AuditEntryBody, BASE, CursorPagination, PaginationBody, RemovedUserBody, UserBody, operations};

const DESCRIPTION: &str = "\
User management for business partners that use Signet's identity verification: register users, retrieve all of them or \
one, update them, remove them, and read the audit trail of every change. A partner sees and touches only its own users.

Every answer is JSON in one of two envelopes: `{\"success\": true, \"message\"?, \"data\"}` or \
`{\"success\": false, \"message\", \"error\": {\"code\", \"requestId\", \"details\"?}}`. `message` is for people and may \
change; `error.code` is for programs and may not. `X-Request-Id` names the request in the answer, in the logs and in the \
audit trail.";

const SECURITY_SCHEME: &str = "apiKey";

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    operations::register_user,
    operations::list_users,
    operations::get_user,
    operations::update_user,
    operations::remove_user,
    operations::list_audit_trail,
))]
struct Operations;

/// The `OpenAPI` 3.1 document of the API.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = Operations::openapi();
    document.info = InfoBuilder::new()
        .title("Signet Partner Management")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .contact(Some(ContactBuilder::new().name(Some("Signet")).build()))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build();
    // Relative, so that Try it out talks to whichever host the document came from.
    document.servers = Some(vec![Server::new(BASE)]);
    document.tags = Some(vec![
        TagBuilder::new().name("Users").description(Some("The users of the partner.")).build(),
        TagBuilder::new().name("Audit trail").description(Some("What changed them, by whom and when.")).build(),
    ]);
    document.security = Some(vec![SecurityRequirement::new(SECURITY_SCHEME, [""; 0])]);
    complete(document.components.get_or_insert_default());
    document
}

fn complete(components: &mut Components) {
    components.add_security_scheme(
        SECURITY_SCHEME,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("signet_<live|test>_<key id>_<secret><checksum>")
                .description(Some("The API key of the partner."))
                .build(),
        ),
    );
    components.schemas.insert(UserBody::name().into_owned(), UserBody::schema());
    components.schemas.insert(PaginationBody::name().into_owned(), PaginationBody::schema());
    components.schemas.insert(RemovedUserBody::name().into_owned(), RemovedUserBody::schema());
    components.schemas.insert(AuditEntryBody::name().into_owned(), AuditEntryBody::schema());
    components.schemas.insert(CursorPagination::name().into_owned(), CursorPagination::schema());
    components.schemas.insert("FieldChange".to_owned(), schemas::field_change());
    components.schemas.insert("MetadataValue".to_owned(), schemas::metadata_value());
    components.schemas.insert("Error".to_owned(), schemas::refusal());
    components.headers.insert("RequestId".to_owned(), responses::request_id_header());
    components.responses.extend(responses::shared());
}

/// The document as pretty-printed JSON.
///
/// # Panics
/// Never: the document is made of strings, numbers, lists and maps with text keys.
#[must_use]
pub fn openapi_json() -> String {
    openapi().to_pretty_json().expect("a document is JSON")
}

/// The document as YAML.
///
/// # Panics
/// Never: the document is made of strings, numbers, lists and maps with text keys.
#[must_use]
pub fn openapi_yaml() -> String {
    let yaml = openapi().to_yaml().expect("a document is YAML");
    yaml.lines().fold(String::with_capacity(yaml.len()), |text, line| text + &quote_instant(line) + "\n")
}

/// Many tools still read YAML 1.1, where a timestamp without quotes is no string.
fn quote_instant(line: &str) -> Cow<'_, str> {
    match line.rsplit_once(' ') {
        Some((key, value)) if Timestamp::parse(value).is_ok() => Cow::Owned(format!("{key} '{value}'")),
        _ => Cow::Borrowed(line),
    }
}

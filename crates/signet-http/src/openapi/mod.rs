//! The `OpenAPI` document: put together from what stands next to each handler, so that it cannot describe another API.

pub(crate) mod examples;
pub(crate) mod responses;
pub(crate) mod schemas;

use std::borrow::Cow;

use signet_domain::Timestamp;
use utoipa::{
    OpenApi as _, PartialSchema, ToSchema,
    openapi::{
        Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Required, SecurityRequirement,
        Server, ServerBuilder,
        path::Operation,
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
    document.servers = Some(servers());
    document.tags = Some(vec![
        TagBuilder::new().name("Users").description(Some("The users of the partner.")).build(),
        TagBuilder::new().name("Audit trail").description(Some("What changed them, by whom and when.")).build(),
    ]);
    document.security = Some(vec![SecurityRequirement::new(SECURITY_SCHEME, [""; 0])]);
    let components = document.components.get_or_insert_default();
    complete(components);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            name_answers(operation, components);
            let request_id = RefOr::Ref(Ref::new("#/components/parameters/RequestId"));
            operation.parameters.get_or_insert_default().push(request_id);
        }
        // Many clients send no body with DELETE.
        if let Some(RefOr::T(body)) = item.delete.as_mut().and_then(|operation| operation.request_body.as_mut()) {
            body.required = Some(Required::False);
        }
    }
    document
}

/// The first is relative, so that Try it out talks to whichever host the document came from. The other is for generators
/// that want an absolute one.
fn servers() -> Vec<Server> {
    let server = |url: &str, description| ServerBuilder::new().url(url).description(Some(description)).build();
    vec![
        server(BASE, "The server that this document came from."),
        server(
            &format!("https://localhost:4401{BASE}"),
            "A server on this machine, as it listens unless told otherwise.",
        ),
    ]
}

/// Gives the schema of a success the name of its operation, which generated clients name their types by.
fn name_answers(operation: &mut Operation, components: &mut Components) {
    let mut name = operation.operation_id.clone().unwrap_or_default() + "Response";
    name.get_mut(..1).map(str::make_ascii_uppercase);
    let responses = operation.responses.responses.values_mut();
    for response in responses {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get_mut("application/json")
            && let Some(schema @ RefOr::T(_)) = &mut content.schema
        {
            let reference = RefOr::Ref(Ref::from_schema_name(&name));
            components.schemas.insert(name.clone(), std::mem::replace(schema, reference));
        }
    }
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
    components.schemas.insert("Actor".to_owned(), schemas::actor_schema());
    components.schemas.extend(schemas::refusal().map(|(name, schema)| (name.to_owned(), schema)));
    components.parameters.insert("RequestId".to_owned(), responses::request_id_parameter());
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

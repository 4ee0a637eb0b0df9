//! The responses of the operations: their envelopes, headers and examples. Those of refusals are made by the code that
//! makes the refusals themselves.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use signet_domain::RequestId;
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, Object, ObjectBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, Type,
    example::ExampleBuilder,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::{examples, schemas};
use crate::{
    envelope::refusal_json,
    error::{Code, Detail, Failure},
};

/// What every operation can be refused with.
const ALWAYS: [Code; 9] = [
    Code::MissingCredentials,
    Code::MalformedCredentials,
    Code::InvalidApiKey,
    Code::ApiKeyExpired,
    Code::ApiKeyRevoked,
    Code::PartnerDisabled,
    Code::RateLimited,
    Code::InternalError,
    Code::ServiceUnavailable,
];

/// The statuses whose codes depend on the operation; the responses of the others are components.
const PARTICULAR: [StatusCode; 2] = [StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN];

/// The responses of one operation, being collected.
pub(crate) struct Documented {
    status: StatusCode,
    message: Option<&'static str>,
    response: ResponseBuilder,
    invalid: Vec<Detail>,
}

impl Documented {
    /// The one response of the operation that is a success.
    pub(crate) fn success(status: StatusCode, description: &str, message: Option<&'static str>) -> Self {
        let response = ResponseBuilder::new().description(description);
        Self { status, message, response: with_request_id(response), invalid: Vec::new() }
    }

    /// What its envelope holds, with an example.
    pub(crate) fn data(self, schema: impl Into<RefOr<Schema>>, example: Value) -> Self {
        let mut envelope = schemas::object()
            .property("success", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])))
            .required("success");
        let mut shown = json!({ "success": true });
        if let Some(message) = self.message {
            let text = ObjectBuilder::new().schema_type(Type::String).description(Some("What happened, for people."));
            envelope = envelope.property("message", text).required("message");
            shown["message"] = message.into();
        }
        envelope = envelope.property("data", schema).required("data");
        shown["data"] = example;
        let content = ContentBuilder::new().schema(Some(envelope)).example(Some(shown)).build();
        Self { response: self.response.content("application/json", content), ..self }
    }

    /// A header that it has.
    pub(crate) fn header(self, name: &str, description: &str, schema: Object) -> Self {
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
        Self { response: self.response.header(name, header), ..self }
    }

    /// A field that is to blame in the example of a request that is not valid.
    pub(crate) fn invalid(mut self, field: &'static str, rule: &'static str) -> Self {
        self.invalid.push(Detail::new(field, rule));
        self
    }

    /// All responses, now that the codes are known that the operation has besides those that all have.
    pub(crate) fn refused_with(self, codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
        let mut responses = BTreeMap::from([(self.status.as_str().to_owned(), self.response.build().into())]);
        for (status, codes) in by_status(codes.iter().chain(&ALWAYS)) {
            let response = if PARTICULAR.contains(&status) {
                RefOr::T(refusal(status, &codes, &self.invalid))
            } else {
                RefOr::Ref(Ref::from_response_name(component_name(status)))
            };
            responses.insert(status.as_str().to_owned(), response);
        }
        responses
    }
}

/// The responses that operations refer to.
pub(crate) fn shared() -> BTreeMap<String, RefOr<Response>> {
    // These two belong to no operation.
    let codes = Code::ALL.iter().filter(|code| !matches!(code, Code::RouteNotFound | Code::MethodNotAllowed));
    let statuses = by_status(codes).into_iter().filter(|(status, _)| !PARTICULAR.contains(status));
    statuses.map(|(status, codes)| (component_name(status), refusal(status, &codes, &[]).into())).collect()
}

/// `X-Request-Id`, which every response has.
pub(crate) fn request_id_header() -> RefOr<Header> {
    let description = "Names the request: the client's own `X-Request-Id` where it sent a sane one.";
    HeaderBuilder::new().schema(Some(schemas::request_id())).description(Some(description)).build().into()
}

/// `X-Request-Id`, which every request may have. Any text: a client that sends another one gets an id that was made.
pub(crate) fn request_id_parameter() -> RefOr<Parameter> {
    ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Names the request: 1 to 128 of `A-Z a-z 0-9 . _ -`, and no API key. In place of anything else, the service makes \
             an id.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some(examples::REQUEST_ID.into()))
        .build()
        .into()
}

fn with_request_id(response: ResponseBuilder) -> ResponseBuilder {
    response.header_ref("X-Request-Id", Ref::new("#/components/headers/RequestId"))
}

fn by_status<'a>(codes: impl Iterator<Item = &'a Code>) -> BTreeMap<StatusCode, Vec<Code>> {
    let mut statuses = BTreeMap::<_, Vec<_>>::new();
    for &code in codes {
        statuses.entry(code.status()).or_default().push(code);
    }
    statuses
}

fn component_name(status: StatusCode) -> String {
    reason(status).replace(' ', "")
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

fn refusal(status: StatusCode, codes: &[Code], invalid: &[Detail]) -> Response {
    let examples = codes.iter().map(|&code| {
        let example = ExampleBuilder::new().summary(code.message()).value(Some(example(code, invalid))).build();
        (code.as_str(), example)
    });
    let content: Content =
        ContentBuilder::new().schema(Some(schemas::error_response())).examples_from_iter(examples).build();
    let words: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let description = format!("{}: {}.", reason(status), words.join(", "));
    let response = with_request_id(ResponseBuilder::new().description(description));
    let header = |description: &str, schema: ObjectBuilder| {
        HeaderBuilder::new().schema(Some(schema.build())).description(Some(description)).build()
    };
    match status {
        StatusCode::UNAUTHORIZED => response
            .header("WWW-Authenticate", header("How to authenticate.", ObjectBuilder::new().schema_type(Type::String))),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => response.header(
            "Retry-After",
            header(
                "After how many seconds to try again.",
                ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)),
            ),
        ),
        _ => response,
    }
    .content("application/json", content)
    .build()
}

fn example(code: Code, invalid: &[Detail]) -> Value {
    let mut failure = Failure::new(code);
    match code {
        Code::ValidationFailed => failure.details = invalid.to_vec(),
        Code::EmailTaken => {
            failure = examples::holder().map_or(failure, Failure::email_taken);
        }
        _ => {}
    }
    let Ok(request_id) = RequestId::parse(examples::REQUEST_ID) else { return Value::Null };
    serde_json::from_slice(&refusal_json(&failure, &request_id)).unwrap_or_default()
}

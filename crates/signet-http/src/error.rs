//! Which status, code and headers each refusal gets: the one place that knows.

use std::{borrow::Cow, fmt};

use actix_web::http::{
    StatusCode,
    header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::Serialize;
use signet_application::{Error, api_keys::VerifyError};
use signet_domain::{
    Invalid,
    ports::{EmailHolder, HashError, StoreError},
};

/// What a program goes by; the words may not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    ValidationFailed,
    MalformedJson,
    InvalidCursor,
    MissingCredentials,
    MalformedCredentials,
    InvalidApiKey,
    ApiKeyExpired,
    ApiKeyRevoked,
    InsufficientScope,
    PartnerDisabled,
    UserNotFound,
    RouteNotFound,
    MethodNotAllowed,
    EmailTaken,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    InternalError,
    ServiceUnavailable,
}

impl Code {
    pub(crate) const ALL: [Self; 19] = [
        Self::ValidationFailed,
        Self::MalformedJson,
        Self::InvalidCursor,
        Self::MissingCredentials,
        Self::MalformedCredentials,
        Self::InvalidApiKey,
        Self::ApiKeyExpired,
        Self::ApiKeyRevoked,
        Self::InsufficientScope,
        Self::PartnerDisabled,
        Self::UserNotFound,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::EmailTaken,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::InternalError,
        Self::ServiceUnavailable,
    ];

    /// Its status, its word, and what it says to people.
    const fn table(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::ValidationFailed => (StatusCode::BAD_REQUEST, "validation_failed", "The request is not valid."),
            Self::MalformedJson => (StatusCode::BAD_REQUEST, "malformed_json", "The request body is not valid JSON."),
            Self::InvalidCursor => {
                (StatusCode::BAD_REQUEST, "invalid_cursor", "The cursor does not belong to this list.")
            }
            Self::MissingCredentials => (
                StatusCode::UNAUTHORIZED,
                "missing_credentials",
                "An API key is required: Authorization: Bearer <key>.",
            ),
            Self::MalformedCredentials => {
                (StatusCode::UNAUTHORIZED, "malformed_credentials", "The Authorization header holds no API key.")
            }
            Self::InvalidApiKey => (StatusCode::UNAUTHORIZED, "invalid_api_key", "The API key is not valid."),
            Self::ApiKeyExpired => (StatusCode::UNAUTHORIZED, "api_key_expired", "The API key has expired."),
            Self::ApiKeyRevoked => (StatusCode::UNAUTHORIZED, "api_key_revoked", "The API key was revoked."),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, "insufficient_scope", "The API key may only read."),
            Self::PartnerDisabled => (StatusCode::FORBIDDEN, "partner_disabled", "The partner account is disabled."),
            Self::UserNotFound => (StatusCode::NOT_FOUND, "user_not_found", "There is no such user."),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route_not_found", "There is no such route."),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The route does not support this method.")
            }
            Self::EmailTaken => (StatusCode::CONFLICT, "email_taken", "A user with this email is already registered."),
            Self::PayloadTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The request body is larger than 64 KiB.")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The request body must be sent as Content-Type: application/json, in UTF-8.",
            ),
            Self::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "The partner makes too many requests.")
            }
            Self::InternalError => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.")
            }
            Self::ServiceUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service is temporarily unavailable. Try again soon.",
            ),
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.table().0
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.table().1
    }

    pub(crate) const fn message(self) -> &'static str {
        self.table().2
    }
}

/// Says how to get the address back.
const EMAIL_OF_REMOVED_USER: &str = "A removed user has this email. To restore that user, send update-user with its \
    userId and the status active or suspended.";

/// One field that is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    pub(crate) field: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
}

impl Detail {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, rule: &Invalid) -> Self {
        Self::new(field, rule.to_string())
    }
}

/// Why a request was turned away that another moment would have seen served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// The partner makes more requests than it may.
    RateLimit,
    /// Too many operations wait for the database.
    DatabaseQueue,
    /// The database does not answer.
    DatabaseUnavailable,
    /// Too many keys wait to be verified.
    KeyVerification,
    /// Too many large answers wait for their clients to read them.
    ResponseMemory,
    /// There was no answer in time.
    Deadline,
}

impl Shed {
    pub(crate) const ALL: [Self; 6] = [
        Self::RateLimit,
        Self::DatabaseQueue,
        Self::DatabaseUnavailable,
        Self::KeyVerification,
        Self::ResponseMemory,
        Self::Deadline,
    ];

    /// The label of the metric, and the kind of the sampled log line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::DatabaseQueue => "database_queue",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::KeyVerification => "key_verification",
            Self::ResponseMemory => "response_memory",
            Self::Deadline => "deadline",
        }
    }
}

/// A request refused.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pub(crate) details: Vec<Detail>,
    /// The user that has the address.
    pub(crate) existing_user: Option<EmailHolder>,
    /// A header that tells the client what to do: `Retry-After`, `Allow`, `Accept-Encoding`.
    pub(crate) header: Option<Box<(HeaderName, HeaderValue)>>,
    /// Set where the request was shed.
    pub(crate) shed: Option<Shed>,
    /// For the log of whoever runs the service, and nobody else.
    pub(crate) cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code) -> Self {
        Self {
            code,
            message: code.message().into(),
            details: Vec::new(),
            existing_user: None,
            header: None,
            shed: None,
            cause: None,
        }
    }

    /// A refusal whose message says more than the code does.
    pub(crate) fn saying(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    pub(crate) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some(Box::new((name, value))), ..self }
    }

    pub(crate) fn validation(details: Vec<Detail>) -> Self {
        Self { details, ..Self::new(Code::ValidationFailed) }
    }

    pub(crate) fn email_taken(holder: EmailHolder) -> Self {
        let failure = Self::new(Code::EmailTaken);
        let message = if holder.removed_at.is_some() { EMAIL_OF_REMOVED_USER.into() } else { failure.message };
        let details = vec![Detail::new("email", "is already registered")];
        Self { message, details, existing_user: Some(holder), ..failure }
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(Code::MethodNotAllowed).with_header(ALLOW, HeaderValue::from_static(allow))
    }

    pub(crate) fn rate_limited(retry_after: u64) -> Self {
        let failure = Self { shed: Some(Shed::RateLimit), ..Self::new(Code::RateLimited) };
        failure.with_header(RETRY_AFTER, retry_after.max(1).into())
    }

    pub(crate) fn unavailable(shed: Shed, cause: &dyn fmt::Display) -> Self {
        let failure = Self { shed: Some(shed), cause: Some(cause.to_string()), ..Self::new(Code::ServiceUnavailable) };
        failure.with_header(RETRY_AFTER, 1.into())
    }

    pub(crate) fn internal(cause: &dyn fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Code::InternalError) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::unavailable(Shed::DatabaseQueue, &error),
            StoreError::Unavailable { .. } => Self::unavailable(Shed::DatabaseUnavailable, &error),
            StoreError::Corrupt { .. } | StoreError::Unexpected { .. } => Self::internal(&error),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Malformed => Self::new(Code::MalformedCredentials),
            VerifyError::Unknown => Self::new(Code::InvalidApiKey),
            VerifyError::Expired => Self::new(Code::ApiKeyExpired),
            VerifyError::Revoked => Self::new(Code::ApiKeyRevoked),
            VerifyError::PartnerDisabled => Self::new(Code::PartnerDisabled),
            VerifyError::Hash(HashError::Overloaded) => Self::unavailable(Shed::KeyVerification, &error),
            VerifyError::Hash(HashError::Failed { .. }) => Self::internal(&error),
            VerifyError::Store(error) => error.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::InsufficientScope => Self::new(Code::InsufficientScope),
            Error::UserNotFound => Self::new(Code::UserNotFound),
            Error::EmailTaken { holder } => Self::email_taken(holder),
            Error::NothingToChange => Self::validation(vec![Detail::new(
                "body",
                "must name at least one of name, email, status and metadata",
            )]),
            Error::InvalidField { field, reason } => Self::validation(vec![Detail::invalid(field, &reason)]),
            Error::InvalidCursor => Self::new(Code::InvalidCursor),
            Error::Store(error) => error.into(),
            // What is left is a defect: another partner's data, and a new error until it has a code of its own.
            other => Self::internal(&other),
        }
    }
}

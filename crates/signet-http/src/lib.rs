//! The REST front end of the use cases: `POST /partner/v1/register-user` and its siblings, their documentation, and the
//! HTTP server that carries them.
//!
//! Everything a client can notice about a route is decided here: what a request may look like, who may send it, which
//! status and code each outcome gets, and which headers go with it. What a request *does* is decided in
//! `signet-application`.
#![deny(missing_docs)]

mod auth;
mod body;
mod client_ip;
mod compression;
mod connection_events;
mod cors;
mod envelope;
mod error;
mod exchange;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gzip;
mod json;
mod log_sampler;
mod media_type;
mod metrics;
mod observe;
mod openapi;
mod options;
mod query;
mod response_memory;
mod routes;
pub mod serve;
mod shared;
#[cfg(any(test, fuzzing))]
mod testing;

#[cfg(test)]
mod tests;

pub use cors::Origin;
pub use metrics::Metrics;
pub use openapi::{openapi, openapi_json, openapi_yaml};
pub use options::{Options, RateLimit};
pub use shared::Api;

pub(crate) use routes::app;
pub(crate) use shared::Shared;

use std::{num::NonZeroU32, time::Duration};

use ipnet::IpNet;

use crate::Origin;

/// What an operator may decide about the handling of requests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The proxies whose `X-Forwarded-For` is believed; the audit trail shows the address found through them.
    pub trusted_proxies: Vec<IpNet>,
    /// How many requests a partner may make; `None` for as many as it likes.
    pub rate_limit: Option<RateLimit>,
    /// After how long a request is answered with `503`, whatever it waits for.
    pub deadline: Duration,
    /// How long a client may take to send the body of its request. Shorter than `deadline`, so that the client that is
    /// too slow, and not the service, gets the blame.
    pub body_deadline: Duration,
    /// Whether the log line of a request shows the client's address, which is personal data.
    pub log_client_address: bool,
    /// The origins whose pages may call the API from a browser.
    pub cors_origins: Vec<Origin>,
    /// Whether `/` and `/docs` show pages to browsers.
    pub docs: bool,
    /// For how long browsers shall use nothing but HTTPS (`Strict-Transport-Security`); `None` to say nothing about it.
    pub hsts: Option<Duration>,
}

/// A token bucket for each partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests a second it refills.
    pub per_second: NonZeroU32,
    /// How many requests it holds, hence how many may come at once.
    pub burst: NonZeroU32,
}

impl Options {
    /// The defaults with that time for the body. There is a second more for the answer, and never less than 10 s in all.
    #[must_use]
    pub fn with_body_deadline(body_deadline: Duration) -> Self {
        let defaults = Self::default();
        let deadline = defaults.deadline.max(body_deadline + Duration::from_secs(1));
        Self { deadline, body_deadline, ..defaults }
    }
}

impl Default for Options {
    /// No proxies, no rate limit, 10 s for a request, 9 s of them for its body, no addresses in the log, no other
    /// origins, pages for browsers, no `Strict-Transport-Security`.
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            rate_limit: None,
            deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(9),
            log_client_address: false,
            cors_origins: Vec::new(),
            docs: true,
            hsts: None,
        }
    }
}

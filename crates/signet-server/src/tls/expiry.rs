use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SecondsFormat};
use rustls_pki_types::CertificateDer;
use signet_domain::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How long before its end a certificate is warned about.
const NOTICE_SECONDS: i64 = 14 * DAY_SECONDS;

/// When the served certificate chain expires. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expiry(Arc<AtomicI64>);

/// What an operator should know about a certificate.
#[derive(Debug, PartialEq, Eq)]
enum Warning {
    Expired,
    Soon,
}

impl Expiry {
    /// Seconds since 1970; `None` while no certificate is served.
    pub(crate) fn unix_seconds(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }

    pub(super) fn set(&self, unix_seconds: i64) {
        self.0.store(unix_seconds, Ordering::Relaxed);
    }

    /// Logs a certificate that has expired or soon will.
    pub(super) fn warn(&self, now: Timestamp) {
        let Some(ends) = self.unix_seconds() else { return };
        let expires_at =
            DateTime::from_timestamp(ends, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
        match warning(ends, now) {
            Some(Warning::Expired) => tracing::warn!(expires_at, "the TLS certificate has expired"),
            Some(Warning::Soon) => tracing::warn!(expires_at, "the TLS certificate expires within 14 days"),
            None => {}
        }
    }
}

fn warning(ends: i64, now: Timestamp) -> Option<Warning> {
    match ends - now.unix_millis() / 1000 {
        ..=0 => Some(Warning::Expired),
        1..=NOTICE_SECONDS => Some(Warning::Soon),
        _ => None,
    }
}

/// The earliest end of validity in the chain, in seconds since 1970: clients refuse the chain from then on.
pub(super) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let ends = chain.iter().filter_map(|certificate| X509Certificate::from_der(certificate).ok());
    ends.map(|(_, certificate)| certificate.validity().not_after.timestamp()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_warned_about_in_its_last_14_days_and_after_them() {
        let now = Timestamp::parse("2028-02-29T12:00:00Z").expect("valid");
        let at = |days: i64, seconds: i64| warning(now.unix_millis() / 1000 + days * DAY_SECONDS + seconds, now);
        assert_eq!(at(14, 1), None);
        assert_eq!(at(14, 0), Some(Warning::Soon));
        assert_eq!(at(0, 1), Some(Warning::Soon));
        assert_eq!(at(0, 0), Some(Warning::Expired));
        assert_eq!(at(-900, 0), Some(Warning::Expired));
    }
}

//! The server's side of TLS: where its certificate comes from, and how a new one takes effect.

mod expiry;
mod files;
mod reload;
mod self_signed;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ServerConfig, crypto::ring, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub(crate) use expiry::Expiry;
pub(crate) use files::CertificateFiles;
pub(crate) use reload::{Watch, keep_fresh};
pub(crate) use self_signed::ensure as ensure_self_signed;

/// Why a certificate cannot be served. It never shows what is in the files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    /// The files are fine, but not with each other.
    #[error("{certificate} does not fit {key}: {reason}")]
    Pair { certificate: PathBuf, key: PathBuf, reason: String },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl TlsError {
    #[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` hands over")]
    fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// What was read from the files.
#[derive(Debug)]
struct Loaded {
    config: ServerConfig,
    /// Seconds since 1970.
    expires_at: Option<i64>,
}

/// TLS 1.2 and 1.3 with these files.
///
/// The only protocol offered is HTTP/1.1, because that is the only one spoken.
fn load(files: &CertificateFiles) -> Result<Loaded, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::file(&files.certificate, pem_error(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(TlsError::file(&files.certificate, "there is no PEM certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::file(&files.key, pem_error(&error, "private key")))?;
    let mismatch = |error: rustls::Error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    };
    let expires_at = expiry::of_chain(&chain);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { config, expires_at })
}

fn pem_error(error: &rustls_pki_types::pem::Error, wanted: &str) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => format!("there is no PEM {wanted} in it"),
        _ => format!("it is no PEM {wanted}"),
    }
}

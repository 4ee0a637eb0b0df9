use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_testkit::Identity;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Service;

const CERTIFICATE: &str = "served.crt";
const KEY: &str = "served.key";

/// Has it show that certificate from its next start on.
pub(crate) fn serve_with(service: &mut Service, identity: &Identity) {
    replace(service.directory(), identity);
    service.arguments.extend(["--tls".to_owned(), format!("{CERTIFICATE},{KEY}")]);
}

/// Puts another pair in place of the one that is served: the certificate first, and then its key, each at once.
pub(crate) fn replace(directory: &Path, identity: &Identity) {
    for (name, text) in [(CERTIFICATE, &identity.certificate), (KEY, &identity.key)] {
        let draft = directory.join("draft.pem");
        fs::write(&draft, text).expect("its own folder");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("an own file");
        fs::rename(&draft, directory.join(name)).expect("its own folder");
    }
}

/// Trusts what that authority, as PEM, has signed.
pub(crate) fn trusting(authority: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("a certificate");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// One for `localhost` that nobody has signed, of the kind that a real authority would give.
#[expect(clippy::disallowed_methods, reason = "the scanner looks at the real dates")]
pub(crate) fn of_a_quarter() -> Identity {
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a host name");
    let now = SystemTime::now();
    parameters.not_before = now.into();
    parameters.not_after = (now + Duration::from_hours(90 * 24)).into();
    let certificate = parameters.self_signed(&key).expect("a certificate");
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A certificate authority that nobody trusts unless told to.
#[derive(Debug)]
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

impl CertificateAuthority {
    /// A new authority with a key of its own.
    ///
    /// # Panics
    /// Where the system has no randomness for a key.
    #[must_use]
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        // Another name than that of the certificates it signs, or those would pass for self-signed.
        parameters.distinguished_name.push(DnType::CommonName, "An authority for tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("a certificate"))
    }

    /// The authority's own certificate as PEM: what a client trusts.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for these host names or IP addresses.
    ///
    /// # Panics
    /// Where one of them is neither.
    #[must_use]
    pub fn identity(&self, hosts: &[&str]) -> Identity {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(hosts).expect("host names").signed_by(&key, &self.0);
        Identity { certificate: certificate.expect("a certificate").pem(), key: key.serialize_pem() }
    }
}

impl Default for CertificateAuthority {
    fn default() -> Self {
        Self::new()
    }
}

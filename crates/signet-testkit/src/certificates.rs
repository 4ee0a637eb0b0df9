use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

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
        self.identity_until(hosts, (4096, 1, 1))
    }

    /// The same, valid until that year, month and day.
    ///
    /// # Panics
    /// Where one of the hosts is neither, or the day does not exist.
    #[must_use]
    pub fn identity_until(&self, hosts: &[&str], (year, month, day): (i32, u8, u8)) -> Identity {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(hosts).expect("host names");
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(year, month, day);
        let certificate = parameters.signed_by(&key, &self.0);
        Identity { certificate: certificate.expect("a certificate").pem(), key: key.serialize_pem() }
    }
}

impl Default for CertificateAuthority {
    fn default() -> Self {
        Self::new()
    }
}

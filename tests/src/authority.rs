//! A CA that issues certificates while a test runs.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType};

use crate::fail::{Attempt, Fail};
use crate::{files, pki};

/// A CA.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one with this common name.
    pub fn new(name: &str) -> Attempt<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new()).map_err(bad)?;
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(bad)?;
        let certificate = params.self_signed(&key).map_err(bad)?;
        Ok(Self { pem: pki::pem("CERTIFICATE", certificate.der()), issuer: Issuer::new(params, key) })
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for 127.0.0.1 and perhaps a URI into `FILE.pem`, and its key into `FILE.key`. Yields the certificate in DER.
    pub fn issue(&self, dir: &Path, file: &str, name: &str, uri: Option<&str>) -> Attempt<Vec<u8>> {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(bad)?;
        params.distinguished_name = named(name);
        if let Some(uri) = uri {
            params.subject_alt_names.push(SanType::URI(uri.try_into().map_err(bad)?));
        }
        let key = KeyPair::generate().map_err(bad)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(bad)?;
        files::write(dir, &format!("{file}.key"), &pki::pem("PRIVATE KEY", key.serialized_der()))?;
        files::write(dir, &format!("{file}.pem"), &pki::pem("CERTIFICATE", certificate.der()))?;
        Ok(certificate.der().to_vec())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn bad(error: impl std::fmt::Display) -> Fail {
    Fail(format!("certificate: {error}"))
}

//! Certificates for the scenarios that ask for them, made once a run: `ca.pem`, `server` (127.0.0.1 and localhost)
//! and `client` of that CA, and `other`, which signed itself. Each but the CA comes with a `.key`.

use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::fail::{Attempt, Fail};
use crate::files;

type Made = Vec<(String, String)>;

static PKI: OnceLock<Result<Made, String>> = OnceLock::new();

/// Puts all of them into a folder.
pub fn write(dir: &Path) -> Attempt<()> {
    let made = PKI.get_or_init(|| make().map_err(|error| format!("certificates: {error}")));
    for (name, text) in made.as_ref().map_err(|error| Fail(error.clone()))? {
        files::write(dir, name, text)?;
    }
    Ok(())
}

fn make() -> Result<Made, rcgen::Error> {
    let mut ca_params = params("test ca", &[])?;
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate()?;
    let ca = ca_params.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&ca_params, &ca_key);
    let mut made = vec![("ca.pem".to_owned(), pem("CERTIFICATE", ca.der()))];
    for (name, hosts, purpose) in [
        ("server", &["127.0.0.1", "localhost"][..], ExtendedKeyUsagePurpose::ServerAuth),
        ("client", &[][..], ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let mut params = params(name, hosts)?;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        made.extend([
            (format!("{name}.pem"), pem("CERTIFICATE", certificate.der())),
            (format!("{name}.key"), pem("PRIVATE KEY", key.serialized_der())),
        ]);
    }
    let key = KeyPair::generate()?;
    let certificate = params("other", &[])?.self_signed(&key)?;
    made.extend([
        ("other.pem".to_owned(), pem("CERTIFICATE", certificate.der())),
        ("other.key".to_owned(), pem("PRIVATE KEY", key.serialized_der())),
    ]);
    Ok(made)
}

fn params(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// RFC 7468: base64 in lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text: Vec<char> = STANDARD.encode(der).chars().collect();
    let lines: String = text.chunks(64).flat_map(|line| line.iter().copied().chain(['\n'])).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

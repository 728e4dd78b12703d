//! Who a client certificate says its holder is. Read once for each connection.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use hookaido_telemetry::ClientLine;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// The subject as RFC 4514 writes it: the most specific part first, such as `CN=billing,O=Acme`.
    pub subject: String,
    /// Common names of the subject.
    pub common_names: Vec<String>,
    /// Alternative names, in the order of the certificate.
    pub names: Vec<AltName>,
    /// What the access log says.
    logged: Logged,
}

/// Texts for the access log, made once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Logged {
    fingerprint: String,
    /// The first alternative names with their kinds.
    names: Vec<String>,
}

/// Most alternative names in a line of the access log.
const LOGGED_NAMES: usize = 8;

/// An alternative name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    /// Lower case, without a dot at its end.
    Dns(String),
    /// As it is.
    Uri(String),
    /// A mailbox, its domain in lower case.
    Email(String),
    /// IPv4 as such.
    Ip(IpAddr),
}

impl Identity {
    /// Reads a certificate in DER. Of one that cannot be read, only the fingerprint is known.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let fingerprint: [u8; 32] = Sha256::digest(der).into();
        let mut identity = match X509Certificate::from_der(der) {
            Ok((_, certificate)) => Self::said_by(&certificate),
            Err(_) => Self::default(),
        };
        identity.logged = Logged {
            fingerprint: hex(&fingerprint),
            names: identity.names.iter().take(LOGGED_NAMES).map(ToString::to_string).collect(),
        };
        Self { fingerprint, ..identity }
    }

    fn said_by(certificate: &X509Certificate<'_>) -> Self {
        let common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let names = certificate.subject_alternative_name().ok().flatten();
        Self {
            subject: distinguished_name(certificate.subject()),
            common_names: common_names.map(str::to_owned).collect(),
            names: names
                .map(|names| names.value.general_names.iter().filter_map(alt_name).collect())
                .unwrap_or_default(),
            ..Self::default()
        }
    }

    /// What the access log says of it.
    pub(crate) fn line(&self) -> ClientLine<'_> {
        let Logged { fingerprint, names } = &self.logged;
        ClientLine::Verified { subject: &self.subject, names, fingerprint }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
            Self::Email(mailbox) => write!(f, "email:{mailbox}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
        }
    }
}

fn alt_name(name: &GeneralName<'_>) -> Option<AltName> {
    match name {
        GeneralName::DNSName(name) => Some(AltName::Dns(name.trim_end_matches('.').to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(AltName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(mailbox) => {
            let (local, domain) = mailbox.rsplit_once('@')?;
            Some(AltName::Email(format!("{local}@{}", domain.to_ascii_lowercase())))
        }
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let six = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            four.or_else(|_not_four| six()).ok().map(|address| AltName::Ip(address.to_canonical()))
        }
        _ => None,
    }
}

/// RFC 4514: parts from the last to the first, so that nobody can make one part look like several.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for part in name.iter_rdn().collect::<Vec<_>>().into_iter().rev() {
        for (at, attribute) in part.iter().enumerate() {
            if !text.is_empty() {
                text.push(if at == 0 { ',' } else { '+' });
            }
            push_attribute(&mut text, attribute);
        }
    }
    text
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
    text.push_str(short.unwrap_or(&oid));
    text.push('=');
    match attribute.as_str() {
        Ok(value) => push_escaped(text, value),
        Err(_) => {
            text.push('#');
            text.push_str(&hex(attribute.as_slice()));
        }
    }
}

const SHORT_NAMES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// RFC 4514, section 2.4.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '\0' => text.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            ' ' | '#' if at == 0 => text.extend(['\\', c]),
            ' ' if at == last => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn subject_and_names_are_read() {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, " billing,O=Evil");
        params.subject_alt_names = vec![
            SanType::DnsName("Billing.Internal".try_into().unwrap()),
            SanType::URI("spiffe://cluster/ns/billing".try_into().unwrap()),
            SanType::Rfc822Name("Ops@Example.COM".try_into().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let identity = Identity::of(certificate.der());
        assert_eq!(identity.subject, "CN=\\ billing\\,O=Evil,O=Acme\\, Inc.");
        assert_eq!(identity.common_names, [" billing,O=Evil"]);
        assert_eq!(
            identity.names,
            [
                AltName::Dns("billing.internal".to_owned()),
                AltName::Uri("spiffe://cluster/ns/billing".to_owned()),
                AltName::Email("Ops@example.com".to_owned()),
                AltName::Ip("2001:db8::1".parse().unwrap()),
            ]
        );
        let fingerprint = hex(&Sha256::digest(certificate.der()));
        let ClientLine::Verified { fingerprint: logged, names, .. } = identity.line() else { panic!("it is verified") };
        assert_eq!(logged, fingerprint);
        let want =
            ["dns:billing.internal", "uri:spiffe://cluster/ns/billing", "email:Ops@example.com", "ip:2001:db8::1"];
        assert_eq!(names, want);
    }

    #[test]
    fn of_bytes_that_are_no_certificate_only_the_fingerprint_is_known() {
        let Identity { fingerprint, subject, common_names, names, logged } = Identity::of(b"no certificate");
        assert_eq!(fingerprint, <[u8; 32]>::from(Sha256::digest(b"no certificate")));
        assert!(subject.is_empty() && common_names.is_empty() && names.is_empty() && logged.fingerprint.len() == 64);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(at in any::<prop::sample::Index>(), bits in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            let certificate = certificate.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let mut der = certificate.der().to_vec();
            let at = at.index(der.len());
            der[at] ^= bits;
            der.truncate(cut.index(der.len()) + 1);
            prop_assert_eq!(Identity::of(&der).fingerprint, <[u8; 32]>::from(Sha256::digest(&der)));
        }
    }
}

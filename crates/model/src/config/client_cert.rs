//! `match { client_cert ... }`: conditions on the certificate of a client, as far as a listener has verified it.

use std::net::IpAddr;

/// One condition. Those of one [kind](ClientCertRule::kind) are alternatives; all kinds that are given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertRule {
    /// `subject *`: any verified certificate.
    Any,
    /// The whole distinguished name as RFC 4514 writes it, such as `CN=billing,O=Acme`.
    Subject(String),
    /// A common name of the subject.
    CommonName(String),
    /// A DNS name among the alternative names, lower case; `*.domain` holds for every name below the domain.
    Dns(String),
    /// A URI among the alternative names; `.../*` holds for everything below.
    Uri(String),
    /// A mailbox among the alternative names, its domain lower case; `*@domain` holds for every mailbox there.
    Email(String),
    /// An address among the alternative names.
    Ip(IpAddr),
    /// SHA-256 of the certificate.
    Fingerprint([u8; 32]),
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertKind {
    /// Subject as a whole.
    Subject,
    /// Common name.
    CommonName,
    /// Alternative names.
    San,
    /// Fingerprint.
    Fingerprint,
}

impl ClientCertKind {
    /// The word of the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::CommonName => "common_name",
            Self::San => "san",
            Self::Fingerprint => "fingerprint",
        }
    }
}

impl ClientCertRule {
    /// What it looks at.
    #[must_use]
    pub fn kind(&self) -> ClientCertKind {
        match self {
            Self::Any | Self::Subject(_) => ClientCertKind::Subject,
            Self::CommonName(_) => ClientCertKind::CommonName,
            Self::Dns(_) | Self::Uri(_) | Self::Email(_) | Self::Ip(_) => ClientCertKind::San,
            Self::Fingerprint(_) => ClientCertKind::Fingerprint,
        }
    }

    /// The value as it is written in a configuration.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Subject(text) | Self::CommonName(text) | Self::Dns(text) | Self::Uri(text) | Self::Email(text) => {
                text.clone()
            }
            Self::Ip(address) => address.to_string(),
            Self::Fingerprint(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

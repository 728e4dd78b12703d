//! What a TLS listener presents and asks of its clients.
//!
//! The provider is named here and never taken from the process, so another library cannot exchange it. A changed certificate, CA or mode
//! makes a whole new configuration: sessions of the old one cannot be resumed under the new one.

use std::path::Path;
use std::sync::Arc;

use hookaido_model::config::{ClientAuth, Tls};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// Why a TLS listener cannot be set up. Names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("cannot read `{path}`: {reason}")]
    Read {
        /// As configured.
        path: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A file holds no certificate.
    #[error("`{path}` holds no certificate")]
    NoCertificate {
        /// As configured.
        path: Arc<str>,
    },
    /// Verifying clients needs a CA.
    #[error("client certificates cannot be verified without `client_ca`")]
    NoClientCa,
    /// The parts do not fit together, such as a key of another certificate.
    #[error("the certificate `{cert}` cannot be used: {reason}")]
    Unusable {
        /// The certificate file, as configured.
        cert: Arc<str>,
        /// Why.
        reason: String,
    },
}

/// What a listener presents, and whom it accepts: the whole of a `tls` block, read at one moment.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// For handshakes. A fresh one has its own store of sessions, so none of an earlier one can be resumed.
    pub(crate) config: Arc<ServerConfig>,
    /// Judges client certificates; `None` where they are not verified.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// SHA-256 of all files.
    files: [u8; 32],
    /// Beginning of the SHA-256 of the CAs.
    clients: u64,
}

impl ServerTls {
    /// Reads the files and builds a configuration. Blocks on the file system.
    ///
    /// # Errors
    /// See [`TlsError`]. A listener that runs keeps its present configuration then.
    pub fn read(tls: &Tls) -> Result<Self, TlsError> {
        let unusable =
            |reason: &dyn ToString| TlsError::Unusable { cert: Arc::clone(&tls.cert_file), reason: reason.to_string() };
        let (cert, key) = (file(&tls.cert_file)?, file(&tls.key_file)?);
        let ca = tls.client_ca.as_ref().map(file).transpose()?.unwrap_or_default();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = certificates(&tls.cert_file, &cert)?;
        let key_der = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| TlsError::Read { path: Arc::clone(&tls.key_file), reason: error.to_string() })?;
        let verifier = client_verifier(tls, &ca, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable(&error))?.with_client_cert_verifier(Arc::clone(&verifier));
        let mut config = builder.with_single_cert(certificates, key_der).map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            verifier: tls.client_auth.verifies().then_some(verifier),
            files: digest(&[&cert, &key, &ca]),
            clients: digest(&[&ca]).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        })
    }

    /// For handshakes elsewhere than on a listener of this crate.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether both come from files with the same content, so that there is no reason to exchange one for the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.files == other.files
    }

    /// Whether client certificates are verified.
    pub(crate) fn verifies(&self) -> bool {
        self.verifier.is_some()
    }

    /// Which CAs it verifies against.
    pub(crate) fn clients(&self) -> u64 {
        self.clients
    }

    /// Judges a chain again that an earlier configuration has verified.
    pub(crate) fn accepts(&self, chain: &[Vec<u8>]) -> bool {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|cert| CertificateDer::from(cert.as_slice())).collect();
        let (Some(verifier), Some((leaf, others))) = (&self.verifier, chain.split_first()) else { return false };
        verifier.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths in between, so that no two lists of files look alike.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn file(path: &Arc<str>) -> Result<Vec<u8>, TlsError> {
    let content = std::fs::read(Path::new(&**path));
    content.map_err(|error| TlsError::Read { path: Arc::clone(path), reason: error.to_string() })
}

fn certificates(path: &Arc<str>, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| TlsError::Read { path: Arc::clone(path), reason: error.to_string() })?;
    if found.is_empty() { Err(TlsError::NoCertificate { path: Arc::clone(path) }) } else { Ok(found) }
}

fn client_verifier(
    tls: &Tls,
    ca: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let required = match tls.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request | ClientAuth::RequireAny => {
            let required = tls.client_auth == ClientAuth::RequireAny;
            return Ok(Arc::new(AnyCertificate { required, algorithms: provider.signature_verification_algorithms }));
        }
        ClientAuth::VerifyIfGiven => false,
        ClientAuth::RequireAndVerify => true,
    };
    let path = tls.client_ca.as_ref().ok_or(TlsError::NoClientCa)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path, ca)?);
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Read { path: Arc::clone(path), reason: error.to_string() })
}

/// Takes any certificate a client shows, as `request` and `require_any` say: it proves that the client has the key, not who it is.
#[derive(Debug)]
struct AnyCertificate {
    required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

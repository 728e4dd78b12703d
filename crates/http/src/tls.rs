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

/// Reads the files and builds a configuration. Blocks on the file system.
///
/// # Errors
/// See [`TlsError`]. A listener that runs keeps its present configuration then.
pub fn server_config(tls: &Tls) -> Result<ServerConfig, TlsError> {
    let unusable =
        |reason: &dyn ToString| TlsError::Unusable { cert: Arc::clone(&tls.cert_file), reason: reason.to_string() };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificates = certificates(&tls.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(Path::new(&*tls.key_file))
        .map_err(|error| TlsError::Read { path: Arc::clone(&tls.key_file), reason: error.to_string() })?;
    let verifier = client_verifier(tls, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable(&error))?.with_client_cert_verifier(verifier);
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Arc<str>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed =
        |error: rustls::pki_types::pem::Error| TlsError::Read { path: Arc::clone(path), reason: error.to_string() };
    let found = CertificateDer::pem_file_iter(Path::new(&**path)).map_err(failed)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() { Err(TlsError::NoCertificate { path: Arc::clone(path) }) } else { Ok(found) }
}

fn client_verifier(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
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
    roots.add_parsable_certificates(certificates(path)?);
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

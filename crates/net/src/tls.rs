//! Whom a TLS connection trusts.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::SetupError;

/// TLS 1.2 and 1.3 with ring, Mozilla's roots and those of `extra_roots_pem`; HTTP/2 where the other side has it.
///
/// The provider is named here and not installed for the process, so nothing depends on who starts first.
pub(crate) fn config(extra_roots_pem: &[u8]) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(extra_roots_pem) {
        let certificate = certificate.map_err(|error| SetupError::Roots(error.to_string()))?;
        roots.add(certificate).map_err(|error| SetupError::Roots(error.to_string()))?;
    }
    if !extra_roots_pem.is_empty() && roots.len() == before {
        return Err(SetupError::Roots("no certificate found; PEM is expected".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Library(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

//! Trusted certificate authorities, and the TLS settings of clients.

use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

/// The trusted certificate authorities: those of the system, and added ones.
///
/// Those of the system are read when the first `https` origin is granted, once for all clones.
#[derive(Clone)]
pub struct Trust {
    added: Vec<CertificateDer<'static>>,
    verifier: Arc<OnceLock<Result<Arc<Verifier>, rustls::Error>>>,
}

/// The time of this machine, for the message about a certificate that is not valid at that time:
/// the clock may be wrong.
pub fn clock_of(error: &rustls::Error) -> Option<String> {
    use rustls::{CertificateError as E, Error};
    let Error::InvalidCertificate(
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. },
    ) = error
    else {
        return None;
    };
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    Some(format!("this machine's clock says {now}"))
}

/// Why TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// The text contains no certificate, or an invalid one.
    #[error("cannot read certificates in PEM format: {0}")]
    Pem(String),
    /// There are no certificate authorities.
    #[error("cannot verify certificates of https origins: {0} (install the certificate authorities of the system)")]
    Roots(String),
}

/// Shared by all clients without added authorities: the store of the system has some hundred
/// certificates.
static SYSTEM: LazyLock<Trust> = LazyLock::new(|| Trust { added: Vec::new(), verifier: Arc::default() });

impl Default for Trust {
    /// The system's certificate authorities.
    fn default() -> Self {
        SYSTEM.clone()
    }
}

impl Trust {
    /// The certificate authorities of the system and those in this PEM text, for sites with a
    /// private authority.
    pub fn with_roots(pem: &[u8]) -> Result<Self, TrustError> {
        let added = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TrustError::Pem(error.to_string()))?;
        if added.is_empty() {
            return Err(TrustError::Pem("it has no CERTIFICATE section".to_owned()));
        }
        let mut store = RootCertStore::empty();
        for certificate in &added {
            store.add(certificate.clone()).map_err(|error| TrustError::Pem(error.to_string()))?;
        }
        Ok(Self { added, verifier: Arc::default() })
    }

    /// The TLS settings of a client for one server.
    pub fn client_config(&self) -> Result<ClientConfig, TrustError> {
        self.config(1)
    }

    /// The TLS settings of a client with this number of `https` origins. Sessions are resumed
    /// within a client, never across clients.
    pub fn config(&self, origins: usize) -> Result<ClientConfig, TrustError> {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Roots(error.to_string()))?;
        if origins == 0 {
            let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            config.resumption = Resumption::disabled();
            return Ok(config);
        }
        let verifier = self
            .verifier
            .get_or_init(|| Verifier::new_with_extra_roots(self.added.iter().cloned(), provider).map(Arc::new))
            .clone()
            .map_err(|error| TrustError::Roots(error.to_string()))?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(origins.saturating_mul(2));
        Ok(config)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

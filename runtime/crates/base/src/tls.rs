//! Trusted certificate authorities, and the TLS settings of clients.

use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

/// The trusted certificate authorities: those of the system, and added ones.
///
/// Those of the system are read for the first client of an `https` site, once for all clones; if there are none, for the
/// next one again.
#[derive(Clone)]
pub struct Trust {
    added: Vec<CertificateDer<'static>>,
    verifier: Arc<OnceLock<Arc<Verifier>>>,
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

/// The same as the end of a message: "; this machine's clock says ...", or nothing.
pub fn clock_note(error: &rustls::Error) -> String {
    clock_of(error).map_or_else(String::new, |clock| format!("; {clock}"))
}

/// Why TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// The text contains no certificate, or an invalid one.
    #[error("cannot read certificates in PEM format: {0}")]
    Pem(String),
    /// The certificate of the client, or its key, cannot be used.
    #[error("cannot use the certificate of the client: {0}")]
    Identity(String),
    /// There are no certificate authorities.
    #[error("cannot verify certificates: {0}")]
    Roots(String),
}

impl TrustError {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Pem(_) => "write the certificates in PEM format",
            Self::Identity(_) => "write the certificate of the client and its private key in PEM format",
            Self::Roots(_) => {
                "install the CA certificates of the system (Debian: `apt-get install ca-certificates`), or name a file that has \
                 them with SSL_CERT_FILE"
            }
        }
    }
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
        let added = certificates(pem)?;
        store(&added)?;
        Ok(Self { added, verifier: Arc::default() })
    }

    /// The TLS settings of a client with this number of `https` origins. Sessions are resumed
    /// within a client, never across clients. Without such an origin no authority is needed.
    ///
    /// # Errors
    ///
    /// When there is such an origin and there are no authorities.
    pub fn config(&self, origins: usize) -> Result<ClientConfig, TrustError> {
        let builder = builder()?;
        if origins == 0 {
            let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            config.resumption = Resumption::disabled();
            return Ok(config);
        }
        let verifier = self.verifier()?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(origins.saturating_mul(2));
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<Verifier>, TrustError> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(Arc::clone(verifier));
        }
        let verifier = Verifier::new_with_extra_roots(self.added.iter().cloned(), provider()).map_err(|error| {
            TrustError::Roots(match error {
                rustls::Error::General(text) => text,
                error => error.to_string(),
            })
        })?;
        Ok(Arc::clone(self.verifier.get_or_init(|| Arc::new(verifier))))
    }
}

/// The certificate with which a client identifies itself, and its private key, both in PEM format.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The certificate, followed by those of intermediate authorities if there are any.
    pub certificates: &'a [u8],
    /// The private key: PKCS #8, PKCS #1 or SEC1.
    pub key: &'a [u8],
}

/// The TLS settings of a client of a server with a private authority.
///
/// It trusts the authorities in this PEM text and no others; without one, those of the system. With
/// an identity it presents its certificate to a server that asks for one.
///
/// # Errors
/// [`TrustError`] for a text that is not what it should be.
pub fn private_client_config(
    authorities: Option<&[u8]>,
    identity: Option<ClientIdentity<'_>>,
) -> Result<ClientConfig, TrustError> {
    let builder = builder()?;
    let builder = if let Some(pem) = authorities {
        builder.with_root_certificates(store(&certificates(pem)?)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(SYSTEM.verifier()?)
    };
    let Some(ClientIdentity { certificates: chain, key }) = identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TrustError::Identity(format!("cannot read a private key in PEM format: {error}")))?;
    builder.with_client_auth_cert(certificates(chain)?, key).map_err(|error| TrustError::Identity(error.to_string()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The start of all TLS settings: the versions and ciphers that rustls holds for safe.
fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TrustError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Roots(error.to_string()))
}

/// The certificates in a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrustError::Pem(error.to_string()))?;
    if found.is_empty() {
        return Err(TrustError::Pem("it has no CERTIFICATE section".to_owned()));
    }
    Ok(found)
}

/// A store of these authorities.
fn store(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    for certificate in authorities {
        store.add(certificate.clone()).map_err(|error| TrustError::Pem(error.to_string()))?;
    }
    Ok(store)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

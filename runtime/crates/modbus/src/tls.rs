//! Modbus/TCP Security: Modbus TCP over TLS, with certificates on both sides (MODBUS/TCP Security
//! Protocol Specification, MB-TCP-Security-v21).
//!
//! The files are read for each connection, so that a renewed certificate is used from then on.

use std::{
    io,
    path::{Path, PathBuf},
};

use pattoo_base::{
    files::{self, Exposure},
    tls::{ClientIdentity, TrustError, clock_note, private_client_config},
};
use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use thiserror::Error;

/// The maximum size of a file with certificates or a key.
const MAX_FILE: u64 = 1 << 20;

/// How a device is verified, and how this program identifies itself to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// The authorities that may have signed the certificate of the device, in PEM format. Without
    /// it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The certificate that this program presents, in PEM format, followed by those of intermediate
    /// authorities. Devices that follow the specification require one.
    pub certificate_file: Option<PathBuf>,
    /// The private key of this certificate, in PEM format.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate of the device has to have. Without it, the host of the URL.
    pub server_name: Option<String>,
}

/// Why TLS cannot be used with these settings.
#[derive(Debug, Error)]
pub enum TlsSettingsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Other users can change a file.
    #[error("cannot trust a file of `tls`: {0}")]
    Exposed(#[from] Exposure),
    /// A certificate without its key, or a key without its certificate.
    #[error("`certificate_file` and `key_file` belong together: name both or none")]
    Half,
    /// The name of the server is neither a host name nor an address.
    #[error("`{0}` is not the name of a server")]
    ServerName(String),
    /// A file has other content.
    #[error(transparent)]
    Content(#[from] TrustError),
}

impl TlsSettings {
    /// The settings of a client. Reads the files.
    ///
    /// # Errors
    /// [`TlsSettingsError`]
    pub fn client_config(&self) -> Result<ClientConfig, TlsSettingsError> {
        let authorities = self.ca_file.as_deref().map(read).transpose()?;
        let identity = match (&self.certificate_file, &self.key_file) {
            (Some(certificates), Some(key)) => Some((read(certificates)?, read(key)?)),
            (None, None) => None,
            _ => return Err(TlsSettingsError::Half),
        };
        let identity = identity.as_ref().map(|(certificates, key)| ClientIdentity { certificates, key });
        Ok(private_client_config(authorities.as_deref(), identity)?)
    }

    /// The name that the certificate of the device at a host has to have.
    ///
    /// # Errors
    /// [`TlsSettingsError::ServerName`]
    pub fn name_of(&self, host: &str) -> Result<ServerName<'static>, TlsSettingsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| TlsSettingsError::ServerName(name.to_owned()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsSettingsError> {
    files::refuse_exposed(path)?;
    files::read(path, MAX_FILE).map_err(|source| TlsSettingsError::File { path: path.to_owned(), source })
}

/// Why a handshake failed, without names and addresses.
pub(crate) fn refusal(error: &rustls::Error) -> String {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(certificate) = error else { return error.to_string() };
    let what = match certificate {
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it has another name; help: set `server_name` under `tls` to the name in it"
        }
        E::UnknownIssuer | E::BadSignature => "its authority is not trusted; help: set `ca_file` under `tls`",
        E::Expired | E::ExpiredContext { .. } => "it has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet",
        E::Revoked => "it was revoked",
        _ => "it is not valid",
    };
    let clock = clock_note(error);
    format!("the certificate of the device was refused: {what}{clock}")
}

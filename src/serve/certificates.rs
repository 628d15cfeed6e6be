//! The certificate and key that TLS is served with: read from two files, and again when these change.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use x509_cert::der::Decode;

use crate::event::{Follows, Stamp, lock};
use crate::net::is_passing;

/// Chains have some KiB.
const FILE_BYTES: u64 = 1 << 20;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The chain, its own certificate first, in PEM.
    pub certificate: PathBuf,
    /// The key, in PEM: PKCS#8, PKCS#1 or SEC1.
    pub private_key: PathBuf,
}

/// What is wrong with a pair.
#[derive(Debug, thiserror::Error)]
pub enum BadPair {
    /// A file can not be read.
    #[error("{} can not be read: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate: {what}; name the chain in PEM, its own certificate first", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// A file holds no key.
    #[error("{} holds no private key: {what}; name the key in PEM, without a pass phrase", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// Others may read the key.
    #[error("everybody may read {} (mode {mode:04o}); take that away: chmod o-rwx {}", file.display(), file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The two are not of each other.
    #[error("{} is not the key of {}; name the pair", private_key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
    },
    /// They can not be served with.
    #[error("{} can not be served with: {what}; name another certificate, of an RSA, ECDSA or Ed25519 key", certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        what: String,
    },
}

/// A certificate and its key, as they are served now.
pub struct Certificates {
    files: KeyFiles,
    served: Mutex<Served>,
    looked_at: Mutex<Looks>,
}

#[derive(Clone)]
struct Served {
    with: Arc<rustls::ServerConfig>,
    /// In seconds since 1970.
    expires: u64,
}

/// How the files looked.
struct Looks {
    /// When they were read.
    read: [Option<Stamp>; 2],
    /// A look ago.
    last: [Option<Stamp>; 2],
}

impl KeyFiles {
    /// Reads the pair.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self) -> Result<Arc<Certificates>, BadPair> {
        let stamps = self.stamps();
        let served = self.read()?;
        let looked_at = Mutex::new(Looks { read: stamps, last: stamps });
        Ok(Arc::new(Certificates { files: self.clone(), served: Mutex::new(served), looked_at }))
    }

    fn read(&self) -> Result<Served, BadPair> {
        let Self { certificate, private_key } = self;
        let chain = content(certificate)?;
        let no_certificate = |what: String| BadPair::NoCertificate { file: certificate.clone(), what };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|error| no_certificate(error.to_string()))?;
        let own = chain.first().ok_or_else(|| no_certificate("there is none".to_owned()))?;
        let expires = x509_cert::Certificate::from_der(own)
            .map(|own| own.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
            .map_err(|error| no_certificate(error.to_string()))?;
        let key = content(private_key)?;
        let mode = fs::metadata(private_key).map_or(0, |about| about.mode() & 0o7777);
        if mode & 0o007 != 0 {
            return Err(BadPair::Exposed { file: private_key.clone(), mode });
        }
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| BadPair::NoKey { file: private_key.clone(), what: error.to_string() })?;
        Ok(Served { with: Arc::new(self.combine(chain, key)?), expires })
    }

    fn combine(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<rustls::ServerConfig, BadPair> {
        let Self { certificate, private_key } = self;
        let unusable = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => {
                BadPair::Mismatch { certificate: certificate.clone(), private_key: private_key.clone() }
            }
            other => BadPair::Unusable { certificate: certificate.clone(), what: other.to_string() },
        };
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(unusable)?;
        // A viewer connects once and stays: what would make the next handshake cheaper costs memory for nobody.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.certificate, &self.private_key].map(|file| Stamp::at(file))
    }
}

fn content(file: &Path) -> Result<Vec<u8>, BadPair> {
    let mut content = Vec::new();
    let read = File::open(file).and_then(|open| open.take(FILE_BYTES).read_to_end(&mut content));
    read.map(|_| content).map_err(|error| BadPair::Unreadable { file: file.to_owned(), error })
}

impl Certificates {
    /// Until when the certificate is valid, in seconds since 1970.
    pub fn expires(&self) -> u64 {
        lock(&self.served).expires
    }

    /// What a handshake that begins now is made with.
    pub fn present(&self) -> Arc<rustls::ServerConfig> {
        lock(&self.served).with.clone()
    }
}

impl Follows for Certificates {
    const TASK: &'static str = "CertificateWatch";

    /// Reads the pair again once its files have changed, and have been left alone for a look: the two are written one
    /// after the other. A bad pair is told once, and the one before is served.
    fn look(&self) {
        let mut looks = lock(&self.looked_at);
        let now = self.files.stamps();
        let is_settled = now == looks.last;
        looks.last = now;
        if now == looks.read || !is_settled {
            return;
        }
        let read = self.files.read();
        if matches!(&read, Err(BadPair::Unreadable { error, .. }) if is_passing(error)) {
            return; // the next look reads it
        }
        looks.read = now;
        drop(looks);
        match read {
            Ok(served) => {
                let valid_until =
                    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(served.expires));
                *lock(&self.served) = served;
                let certificate = self.files.certificate.display();
                tracing::info!(%certificate, %valid_until, "a new certificate is served");
            }
            Err(error) => tracing::warn!(%error, "a new certificate is not served, the one before is"),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;

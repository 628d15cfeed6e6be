//! Whom is trusted through TLS: those whom this machine trusts, or who is named in a file. Nobody else, and never anybody.
//!
//! A certificate in the file is trusted as it is, whatever name and time it says: cameras have made theirs themselves. As
//! an authority it vouches for others.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// How servers are told to be who they are.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Trust {
    /// In those whom this machine trusts.
    ///
    /// # Errors
    /// When it trusts nobody.
    pub fn of_this_machine() -> Result<Self, String> {
        // They are many, and all servers' are the same.
        static TRUSTED: OnceLock<Result<Trust, String>> = OnceLock::new();
        TRUSTED.get_or_init(Self::load).clone()
    }

    fn load() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("this machine trusts no authority (ca-certificates is not installed?)".to_owned());
        }
        Self::new(roots, Vec::new())
    }

    /// In those whom the text of a file of certificates (PEM) names.
    ///
    /// # Errors
    /// When there is none in it.
    pub fn of_pem(text: &[u8]) -> Result<Self, String> {
        let read = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(|error| format!("it is no file of certificates (PEM): {error}"))?;
        if certificates.is_empty() {
            return Err(
                "there is no certificate in it; it begins with -----BEGIN CERTIFICATE-----".to_owned()
            );
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        Self::new(roots, certificates)
    }

    /// A session with a host that has this name or address.
    pub(super) fn session(&self, host: &str) -> Result<ClientConnection, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
        ClientConnection::new(self.0.clone(), name).map_err(|error| error.to_string())
    }

    fn new(roots: RootCertStore, pinned: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let verifier = Verifier { pinned, others: verifier.ok(), provider: provider.clone() };
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Self(Arc::new(config.with_no_client_auth())))
    }
}

/// The certificate itself, or one that an authority vouches for.
#[derive(Debug)]
struct Verifier {
    pinned: Vec<CertificateDer<'static>>,
    /// Absent where none of the file is an authority's.
    others: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = rustls::CertificateError::UnknownIssuer;
        let others = self.others.as_ref().ok_or(rustls::Error::InvalidCertificate(unknown))?;
        others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    /// Whether a client that calls a server so shakes hands with it.
    fn agree(trust: &Trust, host: &str, certificate: &CertificateDer<'static>, key: &KeyPair) -> bool {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.clone()], key).expect("a pair");
        let mut server = ServerConnection::new(Arc::new(config)).expect("a session");
        let mut client = trust.session(host).expect("a name");
        while client.is_handshaking() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).expect("memory");
            }
            server.read_tls(&mut bytes.as_slice()).expect("memory");
            server.process_new_packets().expect("the client is right");
            let mut bytes = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut bytes).expect("memory");
            }
            client.read_tls(&mut bytes.as_slice()).expect("memory");
            if client.process_new_packets().is_err() {
                return false;
            }
        }
        true
    }

    fn trusting(pem: &str) -> Trust {
        Trust::of_pem(pem.as_bytes()).expect("certificates")
    }

    #[test]
    fn a_certificate_that_is_named_is_believed_whatever_it_says_and_no_other() {
        let made = || {
            let mut parameters = CertificateParams::new(vec!["camera".to_owned()]).expect("a name");
            parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
            let key = KeyPair::generate().expect("a key");
            (parameters.self_signed(&key).expect("a certificate"), key)
        };
        let ((own, key), (other, other_key)) = (made(), made());
        let trust = trusting(&own.pem());
        assert!(agree(&trust, "10.0.0.20", own.der(), &key), "its name and its date are its own affair");
        assert!(!agree(&trust, "camera", other.der(), &other_key), "one that looks alike is another's");
        assert!(!agree(
            &Trust::new(RootCertStore::empty(), Vec::new()).expect("nobody"),
            "camera",
            own.der(),
            &key
        ));
    }

    #[test]
    fn an_authority_vouches_for_names() {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no name");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key"));
        let issuer = issuer.expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec!["edge.example".to_owned()]).expect("a name");
        let edge = parameters.signed_by(&key, &issuer).expect("a certificate");
        let trust = trusting(&issuer.pem());
        assert!(agree(&trust, "edge.example", edge.der(), &key));
        assert!(!agree(&trust, "other.example", edge.der(), &key), "it is another's name");
    }
}

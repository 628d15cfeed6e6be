//! Records of all sizes, as they come.

use super::*;
use crate::wire::rtsp::framing::FROM_CLIENTS;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::net::TcpListener;

/// A client, and what it says to, with its handshake behind it.
fn ends() -> (ClientConnection, TcpStream, TlsStream) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["edge".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate").der().clone();
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a pair");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("edge").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut said = Vec::new();
        client.write_tls(&mut said).expect("memory");
        server.read_tls(&mut &said[..]).expect("memory");
        server.process_new_packets().expect("the rules");
        said.clear();
        while server.wants_write() {
            server.write_tls(&mut said).expect("memory");
        }
        client.read_tls(&mut &said[..]).expect("memory");
        client.process_new_packets().expect("the rules");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let (near, _) = listener.accept().expect("one");
    near.set_nonblocking(true).expect("a flag");
    (client, far, TlsStream::new(Arc::new(near), server))
}

#[test]
fn small_records_behind_a_large_one_are_read_as_well() {
    let (mut client, far, stream) = ends();
    let mut records = Vec::new();
    let sizes = [&[RECORD_BYTES, RECORD_BYTES - 1][..], &[500; 40], &[1; 40], &[RECORD_BYTES]].concat();
    for size in &sizes {
        client.writer().write_all(&vec![b'x'; *size]).expect("memory");
        client.write_tls(&mut records).expect("memory");
    }
    (&far).write_all(&records).expect("the kernel takes it");
    let (mut left, mut into) = (sizes.iter().sum::<usize>(), vec![0; FROM_CLIENTS.message()]);
    while left > 0 {
        match stream.read(&mut into) {
            Ok(count) => left = left.checked_sub(count).filter(|_| count > 0).expect("no end, and no more"),
            // What is under way comes; what has come is told of.
            Err(error) => assert!(error.kind() == ErrorKind::WouldBlock && !stream.has_more(), "{error}"),
        }
    }
    assert!(!stream.has_more());
}

//! What carries a conversation besides a plain connection: TLS, a tunnel, and both. Each hands out a plain connection of
//! loopback, whose far end threads carry on; so all that can be told of a plain connection can be told of them.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::connection::connect;
use super::mirrorball::Mirrorball;

/// What carries a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Plain,
    Tls,
    /// What is sent goes in parts of so many bytes.
    Tunnel {
        part: usize,
    },
    /// The tunnel through TLS.
    SecretTunnel,
}

impl Carrier {
    /// A connection to the program that is carried so.
    pub fn connect(self, mirrorball: &Mirrorball) -> TcpStream {
        let plain = |address| connect(None, address);
        match self {
            Self::Plain => plain(mirrorball.rtsp),
            Self::Tls => through_tls(plain(mirrorball.rtsps())).0,
            Self::Tunnel { part } => tunnel(|| plain(mirrorball.rtsp), part),
            Self::SecretTunnel => {
                let address = mirrorball.rtsps();
                tunnel(|| through_tls(plain(address)).0, 1000)
            }
        }
    }
}

/// The two ends of a connection of loopback.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let theirs = listener.accept().expect("one").0;
    for end in [&ours, &theirs] {
        end.set_nodelay(true).expect("a TCP option");
    }
    (ours, theirs)
}

/// Shakes hands, and carries on. Returns the certificate that was shown as well.
pub fn through_tls(far: TcpStream) -> (TcpStream, Vec<u8>) {
    far.set_nodelay(true).expect("a TCP option");
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("edge").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    while tls.is_handshaking() {
        tls.complete_io(&mut &far).expect("the handshake comes to its end");
    }
    let shown = tls.peer_certificates().expect("shown")[0].to_vec();
    let (ours, near) = pair();
    thread::spawn(move || {
        let _ = carry(&mut tls, &near, &far);
        let _ = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
    });
    (ours, shown)
}

/// Both ways, until either end has nothing more.
fn carry(tls: &mut ClientConnection, near: &TcpStream, far: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut &*far)?;
        }
        let mut ends = [near, far].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
        poll(&mut ends, PollTimeout::NONE)?;
        let [from_near, from_far] = ends.map(|end| end.any().unwrap_or(false));
        if from_near {
            let count = (&*near).read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            tls.writer().write_all(&buffer[..count])?;
        }
        if from_far {
            if tls.read_tls(&mut &*far)? == 0 {
                return Ok(());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match tls.reader().read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => (&*near).write_all(&buffer[..count])?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The GET of a tunnel and then its POST, on connections that `connect` makes, with what is sent in parts of so many bytes.
pub fn tunnel(connect: impl Fn() -> TcpStream, part: usize) -> TcpStream {
    let cookie = fresh_cookie();
    let get = send_get(connect(), &cookie);
    let post = send_post(connect(), &cookie, part);
    join(get, post, part)
}

/// A cookie that nobody else has.
pub fn fresh_cookie() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("story{}x{}", std::process::id(), NUMBER.fetch_add(1, Relaxed))
}

/// Sends the GET of a tunnel.
pub fn send_get(stream: TcpStream, cookie: &str) -> TcpStream {
    let head = format!(
        "GET /news HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nAccept: application/x-rtsp-tunnelled\r\n\
         Pragma: no-cache\r\nCache-Control: no-cache\r\n\r\n"
    );
    (&stream).write_all(head.as_bytes()).expect("the program reads");
    stream
}

/// Sends the head of the POST of a tunnel, in parts of so many bytes.
pub fn send_post(stream: TcpStream, cookie: &str, part: usize) -> TcpStream {
    stream.set_nodelay(true).expect("a TCP option");
    let head = format!(
        "POST /news HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nContent-Type: application/x-rtsp-tunnelled\r\n\
         Pragma: no-cache\r\nContent-Length: 32767\r\n\r\n"
    );
    for part in head.as_bytes().chunks(part) {
        (&stream).write_all(part).expect("the program reads");
    }
    stream
}

/// What is carried by both halves.
pub fn join(get: TcpStream, post: TcpStream, part: usize) -> TcpStream {
    let head = read_head(&get);
    // A proxy may speak a later version of HTTP.
    assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(" 200 OK\r\n"), "{head}");
    let (ours, near) = pair();
    let (from, back) = (near.try_clone().expect("a descriptor"), get.try_clone().expect("a descriptor"));
    thread::spawn(move || {
        let _ = io::copy(&mut &get, &mut &near);
        let _ = (near.shutdown(Shutdown::Both), get.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = (&from).read(&mut buffer) {
            let text = STANDARD.encode(&buffer[..count]);
            if text.as_bytes().chunks(part).any(|part| (&post).write_all(part).is_err()) {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), post.shutdown(Shutdown::Both), back.shutdown(Shutdown::Both));
    });
    ours
}

/// The head of a reply of HTTP.
pub fn read_head(stream: &TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        (&*stream).read_exact(&mut byte).expect("a reply");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

//! A subscriber's connection, whatever carries it: plain TCP, TLS, or a tunnel of two HTTP connections.

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::dialogue::Transport;

/// A connection that does not block. Clones are the same one.
#[derive(Clone)]
pub struct Stream {
    socket: Rc<TcpStream>,
    carrier: Carrier,
}

#[derive(Clone)]
enum Carrier {
    Plain,
    Tls(Rc<RefCell<ClientConnection>>),
    Tunnel { post: Rc<TcpStream> },
}

impl Stream {
    /// Connects a subscriber from its own address.
    pub fn connect(server: SocketAddrV4, subscriber: usize, transport: Transport) -> Result<Self> {
        let socket = socket(server, subscriber)?;
        let carrier = match transport {
            Transport::Udp | Transport::Tcp | Transport::Http => Carrier::Plain,
            Transport::Tls => Carrier::Tls(Rc::new(RefCell::new(shake_hands(&socket)?))),
            Transport::Tunnel => Carrier::Tunnel { post: Rc::new(tunnel(&socket, server, subscriber)?) },
        };
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Rc::new(socket), carrier })
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let Carrier::Tls(tls) = &self.carrier else { return (&*self.socket).read(into) };
        let (mut tls, mut count) = (tls.borrow_mut(), 0);
        // As much as there is room for: what is left in here nobody would be told of.
        loop {
            match tls.reader().read(&mut into[count..]) {
                Ok(0) => return Ok(count),
                Ok(more) => count += more,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Err(_) => match tls.read_tls(&mut &*self.socket) {
                    Ok(0) => return Ok(count),
                    Ok(_) => {
                        tls.process_new_packets().map_err(Error::other)?;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock && count > 0 => return Ok(count),
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match &self.carrier {
            Carrier::Plain => (&*self.socket).write(bytes),
            Carrier::Tls(tls) => {
                let mut tls = tls.borrow_mut();
                tls.writer().write_all(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut &*self.socket)?;
                }
                Ok(bytes.len())
            }
            Carrier::Tunnel { post } => {
                (&**post).write_all(STANDARD.encode(bytes).as_bytes()).map(|()| bytes.len())
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A plain connection from a subscriber's own address, which does not block.
pub fn plain(server: SocketAddrV4, subscriber: usize) -> Result<TcpStream> {
    let stream = socket(server, subscriber)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn socket(server: SocketAddrV4, subscriber: usize) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddrV4::new(address_plan::subscriber(subscriber), 0).into())?;
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn shake_hands(socket: &TcpStream) -> Result<ClientConnection> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("edge").map_err(Error::other)?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut &*socket)?;
    }
    Ok(tls)
}

/// Sends the GET by `get`, waits for the head of its reply, and opens the POST.
fn tunnel(get: &TcpStream, server: SocketAddrV4, subscriber: usize) -> Result<TcpStream> {
    let cookie = format!("subscriber{subscriber}");
    (&*get).write_all(format!("GET / HTTP/1.0\r\nx-sessioncookie: {cookie}\r\n\r\n").as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        (&*get).read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.0 200 ") {
        return Err(Error::other("the server would not have a tunnel"));
    }
    let post = socket(server, subscriber)?;
    let head = format!("POST / HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nContent-Length: 32767\r\n\r\n");
    (&post).write_all(head.as_bytes())?;
    post.set_nonblocking(true)?;
    Ok(post)
}

/// It is the cost that is measured, and not who serves.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

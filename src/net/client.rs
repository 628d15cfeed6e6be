//! What a client opens: connections that are made to others, and sockets to which these send.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::buffers::{RECEIVE_BUFFER_BYTES, ask_to_receive};
use super::peer::notice_vanishing;
use super::server::{ServerPair, bind_pair};

/// Begins to connect: there is room to write once it is done, or has failed.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    notice_vanishing(&socket)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// The kernel's words without the number behind them.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Opens a free pair of ports at an address of ours, with room for what comes while nobody reads.
pub fn receiving_pair(own: IpAddr) -> io::Result<ServerPair> {
    let pair = bind_pair(SocketAddr::new(own, 0), None, &[])?;
    ask_to_receive(&SockRef::from(&pair.rtp), RECEIVE_BUFFER_BYTES)?;
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn a_connection_never_waits() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut stream = connect(listener.local_addr().expect("bound")).expect("begun");
        let (_peer, _) = listener.accept().expect("one");
        assert_eq!(stream.read(&mut [0]).expect_err("nothing came").kind(), io::ErrorKind::WouldBlock);
    }
}

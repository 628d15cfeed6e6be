//! Who sends to a socket that only sends: clients do, to open the way back through a NAT. What they send means nothing,
//! and is not kept.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{SockFilter, SockRef};

use super::refusals::keep_refusals;

/// A filter of one instruction (BPF_RET | BPF_K): of any packet, 0 bytes are kept.
const KEEP_NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);
/// Likewise: of any datagram, its header of 8 bytes is kept.
const KEEP_HEADER: SockFilter = SockFilter::new(0x06, 0, 0, 8);

/// Has the kernel drop by itself all that comes to a socket that nobody reads: its room is for what comes back of what
/// was sent, see [`take_refusals`](super::take_refusals).
pub fn send_only(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[KEEP_NOTHING])?;
    keep_refusals(socket)
}

/// Has the kernel keep who sends to a socket, in its receive buffer; until [`send_only`].
pub fn keep_senders(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[KEEP_HEADER])
}

/// Takes those who have sent to a socket that does not block, up to `most` of them.
pub fn take_senders(socket: &UdpSocket, most: usize) -> Vec<SocketAddr> {
    let mut senders = Vec::new();
    for _ in 0..most {
        match socket.recv_from(&mut [0]) {
            Ok((_, from)) => senders.push(from),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => {} // of what was sent: it is told once
        }
    }
    senders
}

#[cfg(test)]
mod tests {
    use super::super::bind_pair;
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn who_sends_is_known_while_it_is_asked_for_and_nothing_of_what_was_sent() {
        let pair = bind_pair((Ipv4Addr::LOCALHOST, 0).into(), None, &[]).expect("a free pair");
        let server = pair.rtp.local_addr().expect("bound");
        send_only(&pair.rtp).expect("a socket");
        let clients: Vec<_> =
            (0..3).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
        let send = || {
            clients.iter().zip([0, 4, 1400]).for_each(|(client, size)| {
                client.send_to(&vec![7; size], server).expect("lo takes packets");
            })
        };
        send();
        assert_eq!(take_senders(&pair.rtp, 9), []);
        keep_senders(&pair.rtp).expect("a socket");
        send();
        let all: Vec<_> = clients.iter().map(|client| client.local_addr().expect("bound")).collect();
        assert_eq!(take_senders(&pair.rtp, 2), all[..2]);
        assert_eq!(take_senders(&pair.rtp, 9), all[2..]);
        send();
        let (mut byte, kept) = ([0; 9], |byte: &mut [u8]| pair.rtp.recv_from(byte).expect("it has come").0);
        assert_eq!([(); 3].map(|()| kept(&mut byte)), [0; 3]);
        send_only(&pair.rtp).expect("a socket");
        send();
        assert_eq!(take_senders(&pair.rtp, 9), []);
    }
}

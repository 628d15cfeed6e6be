//! Transport streams without RTP: who sends them, and packets that differ from all others.

use std::net::{Ipv4Addr, UdpSocket};

use socket2::SockRef;

use super::source::Group;

/// One who sends a transport stream without RTP.
pub struct Bare {
    pub group: Group,
    socket: UdpSocket,
}

impl Bare {
    pub fn to(group: Group) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
        Self { group, socket }
    }

    pub fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.group.0).expect("sent");
    }
}

/// So many packets of a transport stream, which differ from all others.
pub fn ts_packets(count: usize, packet_bytes: usize, number: u8) -> Vec<u8> {
    let packet = |place: usize| {
        let mut packet = vec![number; packet_bytes];
        (packet[0], packet[1], packet[2], packet[3]) = (0x47, 0x01, place as u8, 0x10);
        packet
    };
    (0..count).flat_map(packet).collect()
}

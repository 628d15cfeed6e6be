//! Receive sockets over loopback: only what was asked for, told where it was sent, and counted when dropped.

use super::*;
use crate::net::{Datagram, ReceiveBatch, interface_index};
use std::net::UdpSocket;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A socket on `port`, or on any that is free.
fn bind(port: u16) -> (ReceiveSocket, u16) {
    let socket = ReceiveSocket::bind(port, ANY).expect("a port");
    let address = socket.socket.local_addr().expect("bound").as_socket().expect("an IP address");
    (socket, address.port())
}

fn group(last: u8) -> Group {
    let interface = interface_index("lo").expect("loopback");
    Group { address: Ipv4Addr::new(239, 77, 50, last).into(), source: None, except: Vec::new(), interface }
}

/// A socket that sends to groups by way of loopback.
fn source() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    socket.into()
}

/// What has arrived: loopback delivers before the sending call returns.
fn arrived(socket: &ReceiveSocket) -> Vec<(Vec<u8>, IpAddr)> {
    let mut batch = ReceiveBatch::new(4);
    let mut all = Vec::new();
    while batch.receive(socket).is_ok() {
        all.extend(
            batch.datagrams().map(|datagram: Datagram<'_>| (datagram.payload.to_vec(), datagram.destination)),
        );
    }
    all
}

#[test]
fn a_batch_tells_where_each_datagram_was_sent_and_by_whom() {
    let (socket, port) = bind(0);
    socket.join(&group(1)).expect("loopback takes groups");
    let source = source();
    source.send_to(b"first", (group(1).address, port)).expect("sent");
    source.send_to(b"", (Ipv4Addr::LOCALHOST, port)).expect("sent");
    source.send_to(&[7; 9000], (group(1).address, port)).expect("sent");
    let mut batch = ReceiveBatch::new(2);
    assert_eq!(batch.receive(&socket).expect("two wait"), 2);
    let datagrams: Vec<_> = batch.datagrams().collect();
    assert_eq!((datagrams[0].payload, datagrams[0].destination), (&b"first"[..], group(1).address));
    assert_eq!((datagrams[1].payload, datagrams[1].destination), (&b""[..], Ipv4Addr::LOCALHOST.into()));
    assert_eq!(datagrams[0].source, source.local_addr().expect("bound"));
    assert_eq!((datagrams[0].overflow, datagrams[0].interface), (None, group(1).interface));
    assert_eq!(batch.receive(&socket).expect("one waits"), 1);
    assert_eq!(batch.datagrams().map(|datagram| datagram.payload.len()).collect::<Vec<_>>(), [9000]);
    let error = batch.receive(&socket).expect_err("nothing waits");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(batch.datagrams().count(), 0, "what was read before is not read again");
}

#[test]
fn over_ipv6_too_a_datagram_tells_its_interface() {
    let Ok(sender) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else { return }; // a machine without IPv6
    let socket = ReceiveSocket::bind(0, Ipv6Addr::UNSPECIFIED.into()).expect("a port");
    let port = socket.socket.local_addr().expect("bound").as_socket().expect("an IP address").port();
    sender.send_to(b"six", (Ipv6Addr::LOCALHOST, port)).expect("sent");
    let mut batch = ReceiveBatch::new(1);
    assert_eq!(batch.receive(&socket).expect("it waits"), 1);
    let datagrams: Vec<_> = batch.datagrams().collect();
    assert_eq!((datagrams[0].payload, datagrams[0].interface), (&b"six"[..], group(1).interface));
}

#[test]
fn two_groups_on_one_port_never_mix() {
    let (left, port) = bind(0);
    let (right, _) = bind(port);
    left.join(&group(2)).expect("loopback takes groups");
    right.join(&group(3)).expect("loopback takes groups");
    let source = source();
    for number in 0..10u8 {
        source.send_to(&[b'l', number], (group(2).address, port)).expect("sent");
        source.send_to(&[b'r', number], (group(3).address, port)).expect("sent");
    }
    let of = |side: u8, group: Group| -> Vec<_> {
        (0..10u8).map(|number| (vec![side, number], group.address)).collect()
    };
    assert_eq!(arrived(&left), of(b'l', group(2)));
    assert_eq!(arrived(&right), of(b'r', group(3)));
    left.leave(&group(2)).expect("it was joined");
    source.send_to(b"gone", (group(2).address, port)).expect("sent");
    assert_eq!(arrived(&left), []);
}

#[test]
fn what_the_kernel_drops_from_a_full_queue_is_counted() {
    let (socket, port) = bind(0);
    socket.set_receive_buffer(4096).expect("a small buffer");
    let source = source();
    for _ in 0..100 {
        source.send_to(&[0; 1000], (Ipv4Addr::LOCALHOST, port)).expect("sent");
    }
    let taken = arrived(&socket).len();
    assert!(taken < 100, "4 KiB hold no 100 kB");
    source.send_to(b"tells", (Ipv4Addr::LOCALHOST, port)).expect("sent");
    let mut batch = ReceiveBatch::new(1);
    batch.receive(&socket).expect("it waits");
    let overflow = batch.datagrams().next().and_then(|datagram| datagram.overflow);
    assert_eq!(overflow.map(|dropped| dropped as usize + taken), Some(100));
}

#[test]
fn a_group_of_one_source_hears_no_other() {
    let (socket, port) = bind(0);
    let stranger = Some(Ipv4Addr::new(192, 0, 2, 9).into());
    socket.join(&Group { source: stranger, ..group(4) }).expect("loopback takes groups");
    source().send_to(b"not asked for", (group(4).address, port)).expect("sent");
    assert_eq!(arrived(&socket), []);
}

#[test]
fn a_group_joined_twice_needs_another_socket() {
    let (socket, _) = bind(0);
    socket.join(&group(5)).expect("loopback takes groups");
    let again = socket.join(&group(5)).expect_err("it is joined");
    assert!(matches!(again, MembershipError::SocketFull { .. }), "{again}");
}

#[test]
fn a_missing_interface_says_what_to_look_at() {
    let (socket, _) = bind(0);
    let error = socket.join(&Group { interface: 0x7fff_0000, ..group(6) }).expect_err("no such interface");
    assert!(matches!(error, MembershipError::Join { .. }), "{error}");
    assert!(error.to_string().contains("is the interface up"), "{error}");
}

#[test]
fn merged_neighbours_come_apart_again() {
    let receiver = ReceiveSocket::bind(0, ANY).expect("a port");
    let port = receiver.socket.local_addr().expect("bound").as_socket().expect("of IP").port();
    let sender = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    setsockopt(&sender, sockopt::UdpGsoSegment, &100).expect("a kernel that segments");
    let sent: Vec<u8> = (0..=255).collect();
    sender.send_to(&sent, (Ipv4Addr::LOCALHOST, port)).expect("room");
    let mut batch = ReceiveBatch::new(4);
    assert_eq!(batch.receive(&receiver).expect("it has arrived"), 1, "one message");
    let parts: Vec<_> = batch.datagrams().map(|datagram| datagram.payload.to_vec()).collect();
    assert_eq!(parts, [&sent[..100], &sent[100..200], &sent[200..]]);
}

//! Runs over loopback: who gets what, in which order, and what a failing destination costs.

use super::*;
use crate::net::Marks;
use proptest::prelude::*;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    socket
}

fn to(socket: &UdpSocket) -> Destination {
    Destination::new(socket.local_addr().expect("bound"), true)
}

fn plain(destination: Destination) -> Destination {
    Destination { segments: 0, ..destination }
}

/// What says nothing of packets over IPv4.
fn unmarked() -> Control {
    Control::new(Marks::default(), false)
}

/// The limited broadcast address, for which a socket needs leave that ours never asks for.
fn forbidden() -> Destination {
    Destination::new((Ipv4Addr::BROADCAST, 5004).into(), true)
}

/// Packets of these sizes, each filled with its place.
fn packets(sizes: &[usize]) -> Vec<Bytes> {
    let packet = |(place, size): (usize, &usize)| Bytes::from(vec![place as u8; *size]);
    sizes.iter().enumerate().map(packet).collect()
}

/// What arrived at a socket after everything was sent: loopback delivers before `send` returns.
fn arrived(socket: &UdpSocket) -> Vec<Bytes> {
    socket.set_nonblocking(true).expect("a socket");
    let mut buffer = vec![0; 1 << 16];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|len| Bytes::copy_from_slice(&buffer[..len])))
        .collect()
}

fn send(destinations: &mut [Destination], run: &[Bytes], from: Position) -> SendReport {
    Sender::default().send(socket(), &mut unmarked(), destinations, run, from)
}

/// What the kernel would read of a message: to whom, which bytes, and what it is told of them.
type Composed = (String, Vec<u8>, Vec<(libc::c_int, i32)>);

/// The messages composed for `destinations`. No system call is made, so Miri runs it
/// (`cargo +nightly miri test --lib composition`).
fn composed(
    control: &mut Control,
    destinations: &mut [Destination],
    run: &[Bytes],
    from: Position,
) -> Vec<Composed> {
    let mut sender = Sender::default();
    sender.load(run);
    control.set_segment(run[0].len() as u16);
    sender.compose(control, destinations, from, run.len());
    let read = |message: &libc::mmsghdr| {
        let header = &message.msg_hdr;
        // SAFETY: what the header points at lives in `sender`, `control`, `destinations` and `run`.
        unsafe {
            let name = &*header.msg_name.cast::<RawAddress>();
            assert_eq!(header.msg_namelen, name.len());
            let slices = std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen as _);
            let bytes = slices
                .iter()
                .map(|part| std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len));
            let to = name.to_socket_addr().expect("an address").to_string();
            (to, bytes.collect::<Vec<_>>().concat(), told(header))
        }
    };
    sender.messages.iter().map(read).collect()
}

/// The control messages of a message: their kinds and values.
unsafe fn told(header: &libc::msghdr) -> Vec<(libc::c_int, i32)> {
    let mut all = Vec::new();
    // SAFETY: as the caller says.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(head) = control.as_ref() {
            let value = match head.cmsg_level {
                libc::SOL_UDP => libc::CMSG_DATA(control).cast::<u16>().read_unaligned().into(),
                _ => libc::CMSG_DATA(control).cast::<i32>().read_unaligned(),
            };
            all.push((head.cmsg_type, value));
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    all
}

#[test]
fn composition_is_a_message_a_destination_or_one_a_packet() {
    let at = |host: &str, segments| Destination::new(host.parse().expect("an address"), segments);
    let (first, second) = ("192.0.2.1:5000", "[2001:db8::2]:5002");
    let whole = Bytes::from_static(b"aaaabbbbcc");
    let apart = [whole.slice(..4), whole.slice(4..8), Bytes::from_static(b"dd")];
    let mut destinations = [at(first, true), at(second, false)];
    let begun = Position { destination: 0, packet: 1 };
    let composition = composed(&mut unmarked(), &mut destinations, &apart, begun);
    let plainly = |bytes: &[u8], to: &str| (to.to_owned(), bytes.to_vec(), vec![]);
    let in_segments = vec![(libc::UDP_SEGMENT, 4)];
    assert_eq!(
        composition,
        [
            (first.to_owned(), b"aaaabbbbdd".to_vec(), in_segments),
            plainly(b"aaaa", second),
            plainly(b"bbbb", second),
            plainly(b"dd", second),
        ],
        "segments go as one, from their first on"
    );
    let rest = composed(&mut unmarked(), &mut destinations, &apart, Position { destination: 1, packet: 2 });
    assert_eq!(rest, [plainly(b"dd", second)]);
}

#[test]
fn composition_marks_each_message_with_what_the_channel_says() {
    let at = |segments| Destination::new(([192, 0, 2, 1], 5000).into(), segments);
    let run = [Bytes::from_static(b"aaaa"), Bytes::from_static(b"bb")];
    let told_of = |marks, is_ipv6| {
        let mut control = Control::new(marks, is_ipv6);
        let messages = composed(&mut control, &mut [at(true), at(false)], &run, Position::default());
        let told: Vec<_> = messages.into_iter().map(|(_, _, told)| told).collect();
        assert_eq!((told.len(), &told[1]), (3, &told[2]));
        (told[0].clone(), told[1].clone())
    };
    let segment = (libc::UDP_SEGMENT, 4);
    let (class, hops) = ((libc::IP_TOS, 34 << 2), (libc::IP_TTL, 9));
    let both = Marks { dscp: Some(34), ttl: Some(9) };
    assert_eq!(told_of(both, false), (vec![segment, class, hops], vec![class, hops]));
    assert_eq!(told_of(Marks { dscp: None, ..both }, false), (vec![segment, hops], vec![hops]));
    assert_eq!(told_of(Marks { ttl: None, ..both }, false), (vec![segment, class], vec![class]));
    let of_ipv6 = [(libc::IPV6_TCLASS, 34 << 2), (libc::IPV6_HOPLIMIT, 9)];
    assert_eq!(told_of(both, true), ([&[segment][..], &of_ipv6].concat(), of_ipv6.to_vec()));
}

/// A route that refuses segments of a size takes smaller ones in one message.
#[test]
fn composition_is_plain_for_what_is_larger_than_segments_may_be() {
    let messages = |destination: Destination, size: usize| {
        let run = packets(&[size, size, 2]);
        composed(&mut unmarked(), &mut [destination], &run, Position::default()).len()
    };
    let mut destination = Destination::new(([192, 0, 2, 1], 5000).into(), true);
    assert_eq!([1500, 1000].map(|size| messages(destination, size)), [1, 1]);
    assert!(destination.refuse_segments(1500, Errno::EMSGSIZE), "it is the first time");
    assert_eq!([1500, 1000].map(|size| messages(destination, size)), [3, 1]);
    assert!(!destination.refuse_segments(1000, Errno::EIO));
    assert_eq!([1000, 1].map(|size| messages(destination, size)), [3, 3], "it is not about sizes");
    let known = Destination::new(([192, 0, 2, 1], 5000).into(), true).by_path_of(1400);
    assert_eq!([1372, 1373].map(|size| messages(known, size)), [1, 3], "nothing is tried in vain");
}

#[test]
fn the_largest_packet_that_goes_whole_is_that_of_the_path_without_its_headers() {
    let whole = |host: &str, mtu| {
        Destination::new(host.parse().expect("an address"), true).by_path_of(mtu).largest_whole()
    };
    assert_eq!([whole("192.0.2.1:5000", 1500), whole("[2001:db8::2]:5002", 1500)], [1472, 1452]);
    assert_eq!(whole("192.0.2.1:5000", 65_536), 65_508);
    let mut destination = Destination::new(([192, 0, 2, 1], 5000).into(), true).by_path_of(9000);
    destination.refuse_segments(1500, Errno::EINVAL);
    assert_eq!(destination.largest_whole(), 1499, "the kernel has learnt better");
}

#[test]
fn every_destination_gets_the_run_whole_and_in_order() {
    let sockets = [socket(), socket(), socket()];
    let run = packets(&[1000, 1000, 1000, 400]);
    for plainly in [false, true] {
        let each = |socket| if plainly { plain(to(socket)) } else { to(socket) };
        let mut destinations: Vec<_> = sockets.iter().map(each).collect();
        let report = send(&mut destinations, &run, Position::default());
        assert_eq!(
            report,
            SendReport { packets: 12, bytes: 10_200, refused: [0; 5], demoted: 0, blocked: None }
        );
        for socket in &sockets {
            assert_eq!(arrived(socket), run, "plainly: {plainly}");
        }
    }
}

#[test]
fn sizes_of_any_kind_leave_in_runs_that_keep_the_order() {
    let (socket, sizes) = (socket(), [188, 1316, 1316, 1316, 7, 1316, 1, 1, 1, 900]);
    let all = packets(&sizes);
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let (run, after) = split_run(rest);
        send(&mut [to(&socket)], run, Position::default());
        rest = after;
    }
    assert_eq!(arrived(&socket), all);
}

#[test]
fn a_refused_destination_costs_only_itself() {
    let (before, after) = (socket(), socket());
    let run = packets(&[500, 500, 500]);
    for middle in [forbidden(), plain(forbidden())] {
        let report = send(&mut [to(&before), middle, to(&after)], &run, Position::default());
        assert_eq!(
            report,
            SendReport { packets: 6, bytes: 3000, refused: [0, 3, 0, 0, 0], demoted: 0, blocked: None }
        );
        assert_eq!((arrived(&before), arrived(&after)), (run.clone(), run.clone()));
    }
}

/// A closed port answers at once on loopback, so each call but the first finds an error that waits, of the one before.
#[test]
fn a_port_that_is_closed_costs_nobody_else_a_packet() {
    let (before, after, closed) = (socket(), socket(), socket());
    let sender = socket();
    crate::net::send_only(&sender).expect("a socket that sends");
    let mut destinations = [to(&before), to(&closed), plain(to(&after)), to(&after), to(&closed)];
    drop(closed);
    let run = packets(&[500, 500, 500]);
    for _ in 0..3 {
        let report =
            Sender::default().send(&sender, &mut unmarked(), &mut destinations, &run, Position::default());
        assert_eq!((report.packets, report.refused, report.demoted), (15, [0; 5], 0));
        assert_eq!((arrived(&before), arrived(&after)), (run.clone(), [run.clone(), run.clone()].concat()));
    }
}

#[test]
fn a_refusal_has_a_reason() {
    for (error, reason) in [
        (Errno::ENOBUFS, "congested"),
        (Errno::EPERM, "forbidden"),
        (Errno::ENETUNREACH, "unreachable"),
        (Errno::EMSGSIZE, "too_large"),
        (Errno::EINVAL, "refused"),
    ] {
        let (refusal, label) = Refusal::ALL[Refusal::of(error) as usize];
        assert_eq!((refusal, label), (Refusal::of(error), reason));
    }
}

#[test]
fn a_run_goes_on_at_the_very_packet_where_it_was_blocked() {
    let sockets = [socket(), socket(), socket()];
    let run = packets(&[500, 500, 500]);
    let mut destinations: Vec<_> = sockets.iter().map(|socket| plain(to(socket))).collect();
    destinations[2].segments = u16::MAX;
    let report = send(&mut destinations, &run, Position { destination: 1, packet: 2 });
    assert_eq!(report, SendReport { packets: 4, bytes: 2000, refused: [0; 5], demoted: 0, blocked: None });
    assert_eq!(arrived(&sockets[0]), packets(&[]), "it had its run before");
    assert_eq!(arrived(&sockets[1]), run[2..]);
    assert_eq!(arrived(&sockets[2]), run);
}

#[test]
fn more_destinations_than_one_call_takes_are_all_served() {
    let socket = socket();
    let mut destinations: Vec<_> = (0..MESSAGES_PER_CALL * 2 + 3).map(|_| to(&socket)).collect();
    let report = send(&mut destinations, &packets(&[1]), Position::default());
    assert_eq!(report.packets, destinations.len() as u64);
}

#[test]
fn ipv6_is_served_alike() {
    let Ok(receiver) = UdpSocket::bind("[::1]:0") else { return }; // a machine without IPv6
    let sender = UdpSocket::bind("[::1]:0").expect("as the other");
    let run = packets(&[700, 700, 1]);
    let report = Sender::default().send(
        &sender,
        &mut Control::new(Marks::default(), true),
        &mut [to(&receiver)],
        &run,
        Position::default(),
    );
    assert_eq!((report.packets, report.refused), (3, [0; 5]));
    assert_eq!(arrived(&receiver), run);
}

proptest! {
    #[test]
    fn a_run_is_what_one_message_can_carry(sizes in prop::collection::vec(0usize..2000, 0..200)) {
        let packets = packets(&sizes);
        let (run, rest) = split_run(&packets);
        prop_assert_eq!([run, rest].concat(), packets.clone(), "nothing is lost or moved");
        prop_assert_eq!(run.is_empty(), packets.is_empty());
        let bytes = |packets: &[Bytes]| packets.iter().map(Bytes::len).sum::<usize>();
        prop_assert!(run.len() == 1 || bytes(run) <= BYTES_PER_RUN);
        prop_assert!(run.len() <= SEGMENTS_PER_RUN);
        if let [same @ .., last] = run {
            prop_assert!(same.iter().all(|packet| packet.len() == run[0].len()));
            prop_assert!(last.len() <= run[0].len());
            let is_open = last.len() == run[0].len() && run.len() < SEGMENTS_PER_RUN;
            let takes = |next: &Bytes| (1..=run[0].len()).contains(&next.len());
            let fits = |next: &Bytes| bytes(run) + next.len() <= BYTES_PER_RUN;
            prop_assert!(!rest.first().is_some_and(|next| is_open && takes(next) && fits(next)), "it is the longest");
        }
    }
}

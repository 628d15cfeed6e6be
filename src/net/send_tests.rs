//! Runs over loopback: who gets what, in which order, and what a failing destination costs.

use super::*;
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
    Destination { plain: true, ..destination }
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
    Sender::default().send(socket(), destinations, run, from)
}

/// What the kernel would read of the messages composed for `destinations`: to whom, which bytes, in what segments. No
/// system call is made, so Miri runs it (`cargo +nightly miri test --lib composition`).
fn composed(destinations: &mut [Destination], run: &[Bytes], from: Position) -> Vec<(String, Vec<u8>, u16)> {
    let mut sender = Sender::default();
    sender.load(run);
    sender.compose(destinations, from, run.len());
    let read = |message: &libc::mmsghdr| {
        let header = &message.msg_hdr;
        // SAFETY: what the header points at lives in `sender`, `destinations` and `run`.
        unsafe {
            let name = &*header.msg_name.cast::<RawAddress>();
            assert_eq!(header.msg_namelen, name.len());
            let slices = std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen as _);
            let bytes = slices
                .iter()
                .map(|part| std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len));
            let control = libc::CMSG_FIRSTHDR(header);
            let segment =
                if control.is_null() { 0 } else { libc::CMSG_DATA(control).cast::<u16>().read_unaligned() };
            (
                name.to_socket_addr().expect("an address").to_string(),
                bytes.collect::<Vec<_>>().concat(),
                segment,
            )
        }
    };
    sender.messages.iter().map(read).collect()
}

#[test]
fn composition_is_a_message_a_destination_or_one_a_packet() {
    let at = |host: &str, segments| Destination::new(host.parse().expect("an address"), segments);
    let (first, second) = ("192.0.2.1:5000", "[2001:db8::2]:5002");
    let whole = Bytes::from_static(b"aaaabbbbcc");
    let apart = [whole.slice(..4), whole.slice(4..8), Bytes::from_static(b"dd")];
    let mut destinations = [at(first, true), at(second, false)];
    let composition = composed(&mut destinations, &apart, Position { destination: 0, packet: 1 });
    let plainly = |bytes: &[u8], to: &str| (to.to_owned(), bytes.to_vec(), 0);
    assert_eq!(
        composition,
        [
            (first.to_owned(), b"aaaabbbbdd".to_vec(), 4),
            plainly(b"aaaa", second),
            plainly(b"bbbb", second),
            plainly(b"dd", second),
        ],
        "segments go as one, from their first on"
    );
    let rest = composed(&mut destinations, &apart, Position { destination: 1, packet: 2 });
    assert_eq!(rest, [plainly(b"dd", second)]);
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
            SendReport { packets: 12, bytes: 10_200, refused: [0; 4], demoted: 0, blocked: None }
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
            SendReport { packets: 6, bytes: 3000, refused: [0, 3, 0, 0], demoted: 0, blocked: None }
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
        let report = Sender::default().send(&sender, &mut destinations, &run, Position::default());
        assert_eq!((report.packets, report.refused, report.demoted), (15, [0; 4], 0));
        assert_eq!((arrived(&before), arrived(&after)), (run.clone(), [run.clone(), run.clone()].concat()));
    }
}

#[test]
fn a_refusal_has_a_reason() {
    for (error, reason) in [
        (Errno::ENOBUFS, "congested"),
        (Errno::EPERM, "forbidden"),
        (Errno::ENETUNREACH, "unreachable"),
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
    destinations[2].plain = false;
    let report = send(&mut destinations, &run, Position { destination: 1, packet: 2 });
    assert_eq!(report, SendReport { packets: 4, bytes: 2000, refused: [0; 4], demoted: 0, blocked: None });
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
    let report = Sender::default().send(&sender, &mut [to(&receiver)], &run, Position::default());
    assert_eq!((report.packets, report.refused), (3, [0; 4]));
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

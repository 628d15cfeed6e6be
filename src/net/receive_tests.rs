//! What the kernel would have written into a batch, read back. No system call is made, so Miri runs these
//! (`cargo +nightly miri test --lib composition`).

use super::*;
use std::net::Ipv4Addr;

const SOURCE: &str = "192.0.2.7:1234";

/// Puts a message into `slot`, as `recvmmsg` does: through the pointers of its header.
fn deliver(batch: &mut ReceiveBatch, slot: usize, payload: &[u8], controls: &[(i32, i32, &[u8])]) {
    let source = RawAddress::new(SOURCE.parse().expect("an address"));
    let header = &mut batch.headers[slot];
    header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
    header.msg_len = payload.len() as libc::c_uint;
    let mut used = 0;
    // SAFETY: the header's pointers lead to live buffers of the stated sizes, and `message` stays in them.
    unsafe {
        header.msg_hdr.msg_name.cast::<RawAddress>().write(source);
        let slice = &*header.msg_hdr.msg_iov;
        slice.iov_base.cast::<u8>().copy_from(payload.as_ptr(), payload.len());
        for (level, kind, data) in controls {
            let message = header.msg_hdr.msg_control.byte_add(used).cast::<libc::cmsghdr>();
            (*message).cmsg_level = *level;
            (*message).cmsg_type = *kind;
            (*message).cmsg_len = libc::CMSG_LEN(data.len() as libc::c_uint) as _;
            libc::CMSG_DATA(message).copy_from(data.as_ptr(), data.len());
            used += libc::CMSG_SPACE(data.len() as libc::c_uint) as usize;
        }
    }
    assert!(used <= CONTROL_BYTES);
    header.msg_hdr.msg_controllen = used as _;
    batch.received = batch.received.max(slot + 1);
}

/// An `in_pktinfo` (ip(7)): the interface, an address of it, and where the datagram was sent.
fn to_group(interface: i32, group: Ipv4Addr) -> [u8; 12] {
    let mut info = [0; 12];
    info[..4].copy_from_slice(&interface.to_ne_bytes());
    info[8..].copy_from_slice(&group.octets());
    info
}

#[test]
fn composition_of_a_message_tells_where_it_came_from_and_went_to() {
    let mut batch = ReceiveBatch::new(3);
    let (group, dropped) = (Ipv4Addr::new(239, 1, 2, 3), 77u32.to_ne_bytes());
    let info = to_group(5, group);
    deliver(
        &mut batch,
        0,
        b"a packet",
        &[(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &dropped), (libc::IPPROTO_IP, libc::IP_PKTINFO, &info)],
    );
    deliver(&mut batch, 1, b"from nowhere", &[]);
    deliver(&mut batch, 2, b"", &[(libc::IPPROTO_IP, libc::IP_PKTINFO, &info)]);
    let all: Vec<_> = batch.datagrams().collect();
    let told = |datagram: &Datagram| {
        (datagram.source.to_string(), datagram.destination, datagram.interface, datagram.overflow)
    };
    assert_eq!(all.iter().map(|each| each.payload).collect::<Vec<_>>(), [b"a packet".as_slice(), b""]);
    assert_eq!(told(&all[0]), (SOURCE.into(), group.into(), 5, Some(77)));
    assert_eq!(told(&all[1]), (SOURCE.into(), group.into(), 5, None));
}

#[test]
fn composition_of_merged_datagrams_is_taken_apart() {
    let mut batch = ReceiveBatch::new(2);
    let info = to_group(1, Ipv4Addr::new(239, 1, 2, 3));
    for (slot, size) in [(0, 4), (1, 0)] {
        let size: libc::c_int = size;
        deliver(
            &mut batch,
            slot,
            b"aaaabbbbc",
            &[
                (libc::IPPROTO_IP, libc::IP_PKTINFO, &info),
                (libc::SOL_UDP, libc::UDP_GRO, &size.to_ne_bytes()),
            ],
        );
    }
    let payloads: Vec<_> = batch.datagrams().map(|datagram| datagram.payload).collect();
    let (first, odd) = payloads.split_at(3);
    assert_eq!(first, [b"aaaa".as_slice(), b"bbbb", b"c"]);
    assert_eq!(odd.concat(), b"aaaabbbbc", "a size of nothing is none to divide by");
}

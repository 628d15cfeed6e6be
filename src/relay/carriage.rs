//! By what a track's packets reach viewers.

use bytes::{Buf, Bytes};

use crate::wire::rtp;

/// A kind of way. Where a session has several it counts by the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carriage {
    /// The payload of each packet alone, as datagrams.
    Raw,
    /// Packets to a group, once for all.
    Multicast,
    /// Packets as datagrams.
    Udp,
    /// Packets over connections.
    Tcp,
    /// The payload of each packet alone, over connections.
    Http,
}

impl Carriage {
    /// All of them, in order, each with its word in metrics and the log.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Raw, "raw"),
        (Self::Multicast, "multicast"),
        (Self::Udp, "udp"),
        (Self::Tcp, "tcp"),
        (Self::Http, "http"),
    ];

    /// Those that RTSP has a transport for.
    pub const OF_RTSP: [Self; 4] = [Self::Raw, Self::Multicast, Self::Udp, Self::Tcp];

    /// Those by connections, which a viewer reads at its own pace.
    pub const STREAMS: [Self; 2] = [Self::Tcp, Self::Http];

    /// Whether a viewer has no RTCP by which it could say that it is there.
    pub fn is_mute(self) -> bool {
        matches!(self, Self::Raw | Self::Multicast)
    }

    /// Whether a viewer may have packets by numbers of its own: not where it has none, nor where others have the very same packets.
    pub fn may_have_alias(self) -> bool {
        matches!(self, Self::Udp | Self::Tcp)
    }

    /// Its word.
    pub fn label(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Leaves the payloads of RTP packets, where they lie, and nothing of one that has none.
pub(super) fn keep_payloads(packets: &mut Vec<Bytes>) {
    packets.retain_mut(|packet| {
        let payload = rtp::check(packet).map(|header| header.payload_range(packet)).unwrap_or_default();
        packet.truncate(payload.end);
        packet.advance(payload.start);
        !packet.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RTP packet: what its first byte says, what follows the fixed header, and where that begins to be payload.
    fn packet(first: u8, rest: &[u8]) -> Bytes {
        let fixed = [first, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
        [&fixed, rest].concat().into()
    }

    #[test]
    fn payloads_are_left_where_they_lie_without_what_stands_around_them() {
        let (csrcs, extension) = ([1; 8], [0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        let mut packets = vec![
            packet(0x80, b"plain"),
            packet(0x82, &[&csrcs[..], b"csrcs"].concat()),
            packet(0x90, &[&extension[..], b"extension"].concat()),
            packet(0xa0, b"padded\0\0\x03"),
            packet(0xb2, &[&csrcs[..], &extension, b"all\x01"].concat()),
            packet(0x80, b""),
            packet(0xa0, b"\0\x02"),
            packet(0x80, b"last"),
        ];
        let whole: Vec<_> = packets.clone();
        keep_payloads(&mut packets);
        let expected: [&[u8]; 6] = [b"plain", b"csrcs", b"extension", b"padded", b"all", b"last"];
        assert_eq!(packets, expected);
        let within = |payload: &Bytes| whole.iter().any(|all| all.as_ptr_range().contains(&payload.as_ptr()));
        assert!(packets.iter().all(within), "nothing is copied");
    }
}

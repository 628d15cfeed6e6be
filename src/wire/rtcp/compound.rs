//! How a datagram is cut into the RTCP packets that it is made of, and why one is refused.

const HEADER_LEN: usize = 4;

/// Why a datagram is not an RTCP compound packet we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRtcp {
    /// A packet ends before its length field says.
    #[error("shorter than its packets' lengths")]
    Short,
    /// A packet's version is not 2.
    #[error("not RTCP version 2")]
    Version,
    /// The packet type is none of RTCP's (192 to 223, RFC 5761 section 4).
    #[error("not an RTCP packet type")]
    Type,
    /// Padding in another place than the end of the last packet (RFC 3550 section 6.4.1).
    #[error("padding before the last packet")]
    Padding,
    /// A source's compound packet does not start with a report (RFC 3550 section 6.1).
    #[error("does not start with a sender or receiver report")]
    Start,
    /// A report or BYE is smaller than its own counts demand.
    #[error("a report or BYE is smaller than its counts")]
    Malformed,
}

impl NotRtcp {
    /// All reasons, so that counters can be laid out once.
    pub const ALL: [Self; 6] =
        [Self::Short, Self::Version, Self::Type, Self::Padding, Self::Start, Self::Malformed];

    /// A stable word for this reason, for metric labels and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version => "version",
            Self::Type => "type",
            Self::Padding => "padding",
            Self::Start => "start",
            Self::Malformed => "malformed",
        }
    }
}

pub(super) fn packet_type(packet: &[u8]) -> u8 {
    packet[1] // `packets` yields no packet without its header
}

/// The compound packet's parts, all checked before the first is given out. `rtcp_types::Compound` is not used
/// for reading: it stops at the first packet whose inside it cannot read, a mangled XR or APP for one.
pub(super) fn packets(datagram: &[u8]) -> Result<impl Iterator<Item = &[u8]>, NotRtcp> {
    let mut rest = datagram;
    loop {
        let len = packet_len(rest)?;
        if len == rest.len() {
            return Ok(Packets(datagram));
        }
        if rest[0] & 0x20 != 0 {
            return Err(NotRtcp::Padding);
        }
        rest = &rest[len..];
    }
}

struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (packet, rest) = self.0.split_at_checked(packet_len(self.0).ok()?)?;
        self.0 = rest;
        Some(packet)
    }
}

/// The length in bytes of the packet that `rest` starts with, header included.
fn packet_len(rest: &[u8]) -> Result<usize, NotRtcp> {
    let [first, packet_type, high, low, ..] = *rest else { return Err(NotRtcp::Short) };
    if first >> 6 != 2 {
        return Err(NotRtcp::Version);
    }
    if !(192..=223).contains(&packet_type) {
        return Err(NotRtcp::Type);
    }
    let len = HEADER_LEN + 4 * usize::from(u16::from_be_bytes([high, low]));
    if len > rest.len() { Err(NotRtcp::Short) } else { Ok(len) }
}

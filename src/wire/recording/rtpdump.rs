//! Packets in a file as rtptools have them (`rtpdump -F dump`, read by `rtpplay` and Wireshark): a line, when it began, and before each
//! packet how long it is and when it came.

/// The line that a file begins with: who sent the packets is not told.
const LINE: &[u8] = b"#!rtpplay1.0 0.0.0.0/0\n";
/// Behind it: seconds and microseconds since 1970, source and port.
const STARTED_LEN: usize = 16;

/// The length of what a file begins with.
pub const DUMP_HEAD_LEN: usize = LINE.len() + STARTED_LEN;

/// The length of what goes before a packet: lengths of both and of the packet, and milliseconds since the file began.
pub const PACKET_HEAD_LEN: usize = 8;

/// What a file begins with that was begun then, in microseconds since 1970.
#[must_use]
pub fn dump_head(started_us: u64) -> [u8; DUMP_HEAD_LEN] {
    let mut head = [0; DUMP_HEAD_LEN];
    head[..LINE.len()].copy_from_slice(LINE);
    let (seconds, rest) = ((started_us / 1_000_000) as u32, (started_us % 1_000_000) as u32);
    head[LINE.len()..][..4].copy_from_slice(&seconds.to_be_bytes());
    head[LINE.len() + 4..][..4].copy_from_slice(&rest.to_be_bytes());
    head
}

/// What goes before a packet that came so long after the file was begun. `None`: it is too long, or comes too late.
#[must_use]
pub fn packet_head(packet: &[u8], is_report: bool, since_us: u64) -> Option<[u8; PACKET_HEAD_LEN]> {
    let length = u16::try_from(packet.len() + PACKET_HEAD_LEN).ok()?;
    // RTCP is told by a packet length of 0.
    let of_rtp = if is_report { 0 } else { packet.len() as u16 };
    let since = u32::try_from(since_us / 1000).ok()?;
    let mut head = [0; PACKET_HEAD_LEN];
    head[..2].copy_from_slice(&length.to_be_bytes());
    head[2..4].copy_from_slice(&of_rtp.to_be_bytes());
    head[4..].copy_from_slice(&since.to_be_bytes());
    Some(head)
}

/// When a file was begun, in microseconds since 1970. `None`: it is no such file.
pub(super) fn started(file: &[u8]) -> Option<u64> {
    let line = file.iter().take(128).position(|byte| *byte == b'\n')?;
    let [a, b, c, d, e, f, g, h, ..] = *file.get(line + 1..line + 1 + STARTED_LEN)? else { return None };
    let is_dump = file.starts_with(b"#!rtpplay1.0 ");
    let (seconds, rest) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    is_dump.then(|| u64::from(seconds) * 1_000_000 + u64::from(rest))
}

/// A packet out of what a file has from there on: the packet, whether it is RTCP, and when it came since the file was begun. `None`:
/// there is no whole one.
pub(super) fn packet(file: &[u8]) -> Option<(&[u8], bool, u64)> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = file else { return None };
    let length = usize::from(u16::from_be_bytes([*a, *b])).checked_sub(PACKET_HEAD_LEN)?;
    let since = u64::from(u32::from_be_bytes([*e, *f, *g, *h])) * 1000;
    Some((rest.get(..length)?, [*c, *d] == [0, 0], since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_rtptools_write_it() {
        let head = dump_head(0x1122_3344 * 1_000_000 + 7);
        assert_eq!(&head[..23], b"#!rtpplay1.0 0.0.0.0/0\n");
        assert_eq!(head[23..], [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(packet_head(&[1, 2, 3], false, 1_500_999), Some([0, 11, 0, 3, 0, 0, 0x05, 0xdc]));
        assert_eq!(packet_head(&[1, 2, 3], true, 0), Some([0, 11, 0, 0, 0, 0, 0, 0]));
        assert_eq!(packet_head(&vec![0; 65_530], false, 0), None, "too long for its length");
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(started(&dump_head(5_000_123)), Some(5_000_123));
        let mut file = packet_head(b"report", true, 20_000).expect("short").to_vec();
        file.extend(b"report");
        assert_eq!(packet(&file), Some((&b"report"[..], true, 20_000)));
        assert_eq!(packet(&file[..13]), None, "cut off");
        assert_eq!(started(b"#!rtpplay1.0 10.0.0.1/5004"), None, "cut off");
    }
}

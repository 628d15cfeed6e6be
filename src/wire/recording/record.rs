//! The index of a track: what it begins with, and a record for each packet. All of them are equally long, so that a moment is
//! found by halving.

use super::Format;

/// The length of a record, and of what the index begins with. Numbers are little-endian; the last four bytes are the CRC-32 of those
/// before.
pub const RECORD_LEN: usize = 40;

const CHECKED: usize = RECORD_LEN - 4;
const MAGIC: &[u8; 8] = b"mbindex1";
/// Stands for a clock that is not told.
const NO_CLOCK: u64 = u64::MAX;
const START: u8 = 1;
const GAP: u8 = 2;
const REPORT: u8 = 4;

/// What an index begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the media beside it is.
    pub format: Format,
    /// The clock of its timestamps, in Hz.
    pub clock_rate: u32,
}

/// One packet that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When it came: microseconds since 1970. Within a segment it goes by a clock that nobody sets.
    pub arrived_us: u64,
    /// The clock reference of a transport stream in it: 90 kHz, 33 bits.
    pub pcr: Option<u64>,
    /// Where it is in the media: its payload if that is a transport stream, else the whole packet.
    pub offset: u32,
    /// How many bytes.
    pub length: u16,
    /// RTP sequence number, 0 of RTCP.
    pub sequence: u16,
    /// RTP timestamp, 0 of RTCP.
    pub timestamp: u32,
    /// Whose it is.
    pub ssrc: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP marker.
    pub marker: bool,
    /// A decoder can start here.
    pub is_start: bool,
    /// Something before it was not kept.
    pub has_gap: bool,
    /// It is RTCP.
    pub is_report: bool,
}

/// Why bytes are no record, or no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongRecord {
    /// They end too early.
    #[error("it ends in the middle of a record")]
    Short,
    /// They are not what was written.
    #[error("its checksum is wrong")]
    Damaged,
    /// They are of something else.
    #[error("it is no index of a recording, or a newer one than this program knows")]
    Foreign,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.clock_rate.to_le_bytes());
        bytes[12] = match self.format {
            Format::TransportStream => 1,
            Format::RtpDump => 2,
        };
        sealed(bytes)
    }

    /// Out of bytes.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: &[u8]) -> Result<Self, WrongRecord> {
        let bytes = unsealed(bytes)?;
        let format = match (&bytes[..8] == MAGIC, bytes[12]) {
            (true, 1) => Format::TransportStream,
            (true, 2) => Format::RtpDump,
            _ => return Err(WrongRecord::Foreign),
        };
        Ok(Self { format, clock_rate: u32::from_le_bytes(part(bytes, 8)) })
    }
}

impl Record {
    /// As bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        bytes[..8].copy_from_slice(&self.arrived_us.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.pcr.unwrap_or(NO_CLOCK).to_le_bytes());
        bytes[16..20].copy_from_slice(&self.offset.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.length.to_le_bytes());
        bytes[22..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.ssrc.to_le_bytes());
        bytes[32] = u8::from(self.is_start) * START
            + u8::from(self.has_gap) * GAP
            + u8::from(self.is_report) * REPORT;
        bytes[33] = self.payload_type & 0x7f | u8::from(self.marker) << 7;
        sealed(bytes)
    }

    /// Out of bytes.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: &[u8]) -> Result<Self, WrongRecord> {
        let bytes = unsealed(bytes)?;
        let pcr = u64::from_le_bytes(part(bytes, 8));
        Ok(Self {
            arrived_us: u64::from_le_bytes(part(bytes, 0)),
            pcr: (pcr != NO_CLOCK).then_some(pcr),
            offset: u32::from_le_bytes(part(bytes, 16)),
            length: u16::from_le_bytes(part(bytes, 20)),
            sequence: u16::from_le_bytes(part(bytes, 22)),
            timestamp: u32::from_le_bytes(part(bytes, 24)),
            ssrc: u32::from_le_bytes(part(bytes, 28)),
            payload_type: bytes[33] & 0x7f,
            marker: bytes[33] & 0x80 != 0,
            is_start: bytes[32] & START != 0,
            has_gap: bytes[32] & GAP != 0,
            is_report: bytes[32] & REPORT != 0,
        })
    }

    /// Where the media of it ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

fn sealed(mut bytes: [u8; RECORD_LEN]) -> [u8; RECORD_LEN] {
    let check = crc32fast::hash(&bytes[..CHECKED]);
    bytes[CHECKED..].copy_from_slice(&check.to_le_bytes());
    bytes
}

fn unsealed(bytes: &[u8]) -> Result<&[u8; RECORD_LEN], WrongRecord> {
    let bytes: &[u8; RECORD_LEN] = bytes.first_chunk().ok_or(WrongRecord::Short)?;
    let check = u32::from_le_bytes(part(bytes, CHECKED));
    if crc32fast::hash(&bytes[..CHECKED]) == check { Ok(bytes) } else { Err(WrongRecord::Damaged) }
}

/// `N` bytes from there on, of which each caller knows that they are within.
fn part<const N: usize>(bytes: &[u8; RECORD_LEN], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn record()(
            arrived_us: u64, pcr in proptest::option::of(0u64..1 << 33), offset: u32, length: u16, sequence: u16,
            timestamp: u32, ssrc: u32, payload_type in 0u8..128, marker: bool, flags in 0u8..8,
        ) -> Record {
            let (is_start, has_gap, is_report) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            Record {
                arrived_us, pcr, offset, length, sequence, timestamp, ssrc, payload_type, marker, is_start, has_gap, is_report,
            }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(record in record()) {
            prop_assert_eq!(Record::read(&record.bytes()), Ok(record));
        }

        #[test]
        fn no_byte_of_it_changes_unseen(record in record(), place in 0..RECORD_LEN, by in 1u8..) {
            let mut bytes = record.bytes();
            bytes[place] ^= by;
            prop_assert_eq!(Record::read(&bytes), Err(WrongRecord::Damaged));
            prop_assert_eq!(Record::read(&bytes[..place]), Err(WrongRecord::Short));
        }

        #[test]
        fn whatever_comes_is_no_index(bytes: [u8; RECORD_LEN]) {
            prop_assert!(Header::read(&bytes).is_err());
        }
    }

    #[test]
    fn an_index_says_what_it_is_of() {
        for format in [Format::TransportStream, Format::RtpDump] {
            let header = Header { format, clock_rate: 90_000 };
            assert_eq!(Header::read(&header.bytes()), Ok(header));
        }
        let mut newer = Header { format: Format::RtpDump, clock_rate: 1 }.bytes();
        newer[12] = 3;
        assert_eq!(Header::read(&sealed(newer)), Err(WrongRecord::Foreign));
    }
}

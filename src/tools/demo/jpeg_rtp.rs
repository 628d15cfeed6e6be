//! JPEG as RTP payloads (RFC 2435): a baseline JFIF file in, payloads of bounded size out.
//! Sans-IO: it does not know RTP headers, clocks or sockets, nor who encoded the picture.

use thiserror::Error;

/// The static payload type of JPEG (RFC 3551).
pub const PAYLOAD_TYPE: u8 = 26;
/// Bytes of the main JPEG header (RFC 2435, section 3.1).
const MAIN_HEADER_LEN: usize = 8;
/// Bytes of the quantization table header before its tables (section 3.1.8).
const TABLE_HEADER_LEN: usize = 4;
/// A quantization table of 8-bit values, in zigzag order.
const TABLE_LEN: usize = 64;
/// Q of a frame whose own tables travel in its first packet (section 4.2).
const Q_IN_BAND: u8 = 255;
/// The fragment offset has 24 bits.
const MAX_SCAN_LEN: usize = 1 << 24;

/// Why a JPEG file cannot travel as RFC 2435 has it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JpegError {
    /// The file ends inside a segment, or a segment's length makes no sense.
    #[error("JPEG cut short or malformed at byte {0}")]
    Malformed(usize),
    /// A kind of JPEG that the payload format has no way to describe.
    #[error("JPEG not fit for RFC 2435: {0}")]
    Unfit(&'static str),
}

/// A JPEG frame, taken apart into what RFC 2435 sends: its size and type, two tables, and the scan.
#[derive(Debug, PartialEq, Eq)]
pub struct JpegFrame<'a> {
    /// 0 is 4:2:2, 1 is 4:2:0 (RFC 2435, section 4.1).
    kind: u8,
    width_blocks: u8,
    height_blocks: u8,
    luma_table: &'a [u8],
    chroma_table: &'a [u8],
    /// The entropy-coded bytes, with the EOI marker that ends them explicitly.
    scan: &'a [u8],
}

/// The payload of one packet.
#[derive(Debug, PartialEq, Eq)]
pub struct JpegPayload {
    /// Headers and scan bytes.
    pub bytes: Vec<u8>,
    /// Whether the frame ends here: the RTP marker bit.
    pub last: bool,
}

impl<'a> JpegFrame<'a> {
    /// Takes a baseline JPEG file apart. It must have three components, 4:2:2 or 4:2:0, no restart interval, a
    /// size of whole blocks, and the Huffman tables of Annex K: the receiver assumes them, nothing here checks.
    pub fn parse(file: &'a [u8]) -> Result<Self, JpegError> {
        if !file.starts_with(&[0xff, 0xd8]) {
            return Err(JpegError::Malformed(0));
        }
        let mut tables: [Option<&[u8]>; 2] = [None; 2];
        let mut size = None;
        let mut at = 2;
        loop {
            let (marker, body, next) = segment(file, at)?;
            match marker {
                0xdb => quantization_tables(body, at, &mut tables)?,
                0xc0 => size = Some(frame_header(body, at)?),
                0xc1..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(JpegError::Unfit("only the baseline process can be sent"));
                }
                0xdd => return Err(JpegError::Unfit("restart intervals are not sent")),
                0xda => {
                    let (kind, width_blocks, height_blocks) = size.ok_or(JpegError::Malformed(at))?;
                    let [Some(luma_table), Some(chroma_table)] = tables else {
                        return Err(JpegError::Unfit("quantization tables 0 and 1 are needed"));
                    };
                    let scan = scan(file, next)?;
                    return Ok(Self { kind, width_blocks, height_blocks, luma_table, chroma_table, scan });
                }
                _ => {}
            }
            at = next;
        }
    }

    /// The payloads of the frame in order, none longer than `max_len` bytes (at least 256).
    pub fn payloads(&self, max_len: usize) -> impl Iterator<Item = JpegPayload> + '_ {
        let max_len = max_len.max(256);
        let mut offset = 0;
        std::iter::from_fn(move || {
            if offset == self.scan.len() {
                return None;
            }
            let mut bytes = Vec::with_capacity(max_len);
            self.write_headers(offset, &mut bytes);
            let take = (self.scan.len() - offset).min(max_len - bytes.len());
            bytes.extend_from_slice(&self.scan[offset..offset + take]);
            offset += take;
            Some(JpegPayload { bytes, last: offset == self.scan.len() })
        })
    }

    fn write_headers(&self, offset: usize, bytes: &mut Vec<u8>) {
        let [_, high, middle, low] = (offset as u32).to_be_bytes();
        let progressive = 0; // type-specific: the picture is not interlaced
        bytes.extend([progressive, high, middle, low]);
        bytes.extend([self.kind, Q_IN_BAND, self.width_blocks, self.height_blocks]);
        debug_assert_eq!(bytes.len(), MAIN_HEADER_LEN);
        if offset == 0 {
            let (must_be_zero, precision) = (0, 0); // both tables have 8-bit values
            bytes.extend([must_be_zero, precision]);
            bytes.extend(((2 * TABLE_LEN) as u16).to_be_bytes());
            bytes.extend_from_slice(self.luma_table);
            bytes.extend_from_slice(self.chroma_table);
            debug_assert_eq!(bytes.len(), MAIN_HEADER_LEN + TABLE_HEADER_LEN + 2 * TABLE_LEN);
        }
    }
}

/// The marker at `at`, its segment's body, and where the next one begins.
fn segment(file: &[u8], at: usize) -> Result<(u8, &[u8], usize), JpegError> {
    let malformed = JpegError::Malformed(at);
    let Some(&[0xff, marker, high, low]) = file.get(at..at + 4) else { return Err(malformed) };
    let next = at + 2 + usize::from(u16::from_be_bytes([high, low]));
    match file.get(at + 4..next) {
        Some(body) => Ok((marker, body, next)),
        None => Err(malformed),
    }
}

/// DQT (ITU-T T.81, B.2.4.1): one or more tables of 8-bit values.
fn quantization_tables<'a>(
    body: &'a [u8],
    at: usize,
    tables: &mut [Option<&'a [u8]>; 2],
) -> Result<(), JpegError> {
    for table in body.chunks(1 + TABLE_LEN) {
        let (&name, values) = table.split_first().ok_or(JpegError::Malformed(at))?;
        if values.len() != TABLE_LEN {
            return Err(JpegError::Malformed(at));
        }
        // The high half of `name` is the precision: 16-bit tables land here too.
        let place = tables.get_mut(usize::from(name)).ok_or(JpegError::Unfit("only 8-bit tables 0 and 1"))?;
        *place = Some(values);
    }
    Ok(())
}

/// SOF0 (ITU-T T.81, B.2.2): the RFC 2435 type, and width and height in blocks of 8 pixels.
fn frame_header(body: &[u8], at: usize) -> Result<(u8, u8, u8), JpegError> {
    let &[8, h1, h0, w1, w0, 3, _, luma, luma_table, _, cb, cb_table, _, cr, cr_table] = body else {
        return Err(if body.len() < 15 {
            JpegError::Malformed(at)
        } else {
            JpegError::Unfit("three 8-bit components")
        });
    };
    if (cb, cr) != (0x11, 0x11) || (luma_table, cb_table, cr_table) != (0, 1, 1) {
        return Err(JpegError::Unfit("components as in RFC 2435, section 4.1"));
    }
    let kind = match luma {
        0x21 => 0,
        0x22 => 1,
        _ => return Err(JpegError::Unfit("only 4:2:2 and 4:2:0")),
    };
    let blocks =
        |pixels: u16| u8::try_from(pixels / 8).ok().filter(|&blocks| blocks > 0 && pixels.is_multiple_of(8));
    let sides = (blocks(u16::from_be_bytes([w1, w0])), blocks(u16::from_be_bytes([h1, h0])));
    let (Some(width), Some(height)) = sides else {
        return Err(JpegError::Unfit("sides must be multiples of 8 pixels, 8 to 2040"));
    };
    Ok((kind, width, height))
}

/// The entropy-coded bytes from `at` to the EOI marker, which is kept: it ends the scan explicitly.
fn scan(file: &[u8], at: usize) -> Result<&[u8], JpegError> {
    let scan = &file[at..];
    if !scan.ends_with(&[0xff, 0xd9]) {
        return Err(JpegError::Malformed(file.len()));
    }
    if scan.len() >= MAX_SCAN_LEN {
        return Err(JpegError::Unfit("the scan is longer than a 24-bit offset can say"));
    }
    Ok(scan)
}

#[cfg(test)]
mod tests;

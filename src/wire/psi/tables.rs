//! What the sections of the tables say that tell which programmes there are: PAT and PMT (ISO/IEC 13818-1 sections 2.4.4.3
//! and 2.4.4.8), and SDT of the stream itself (EN 300 468 section 5.2.3).

use super::section::Section;
use super::text::text;

/// PIDs are 13 bits, lengths of descriptors 12.
const PID_BITS: u16 = 0x1fff;
const LENGTH_BITS: u16 = 0x0fff;
/// The descriptor of a service: its type, provider and name.
const SERVICE: u8 = 0x48;
/// The descriptor of a stream's languages.
const LANGUAGE: u8 = 0x0a;

/// One section of a table that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// Programmes by number, each with the PID of its PMT.
    Pat(Vec<(u16, u16)>),
    /// What one programme is made of.
    Pmt(Pmt),
    /// Services by the number of their programme.
    Sdt(Vec<(u16, Service)>),
}

/// The streams of a programme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pmt {
    /// Whose clock references the programme goes by.
    pub pcr_pid: u16,
    /// The streams, as they are listed.
    pub streams: Vec<Stream>,
}

/// One stream of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its PID.
    pub pid: u16,
    /// What it is by table 2-34.
    pub stream_type: u8,
    /// The same in words, with what its descriptors add. Empty where it is not known.
    pub kind: &'static str,
    /// The first of its languages, three letters (ISO 639-2).
    pub language: Option<String>,
}

/// What a programme is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Who provides it.
    pub provider: String,
    /// Its name.
    pub name: String,
}

impl Stream {
    /// Whether it is pictures.
    #[must_use]
    pub fn is_video(&self) -> bool {
        matches!(
            self.kind,
            "MPEG-1 video" | "MPEG-2 video" | "MPEG-4 video" | "JPEG 2000" | "H.264" | "H.265" | "H.266"
        )
    }

    /// Whether it is sound.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        matches!(
            self.kind,
            "MPEG-1 audio"
                | "MPEG-2 audio"
                | "AAC"
                | "AAC (LATM)"
                | "AC-3"
                | "E-AC-3"
                | "DTS"
                | "Opus"
                | "SMPTE 302M audio"
        )
    }
}

impl Table {
    /// Reads a section. `None`: of another table, of one that does not hold yet, or cut short.
    #[must_use]
    pub fn read(section: &Section<'_>) -> Option<Self> {
        if !section.is_current {
            return None;
        }
        match section.table_id {
            0x00 => Some(Self::Pat(pat(section.body))),
            0x02 => pmt(section.body).map(Self::Pmt),
            0x42 => Some(Self::Sdt(sdt(section.body.get(3..)?))),
            _ => None,
        }
    }
}

/// Number 0 is the network's own table, and no programme.
fn pat(body: &[u8]) -> Vec<(u16, u16)> {
    let entries = body.chunks_exact(4).map(|entry| {
        (u16::from_be_bytes([entry[0], entry[1]]), u16::from_be_bytes([entry[2], entry[3]]) & PID_BITS)
    });
    entries.filter(|(number, _)| *number != 0).collect()
}

fn pmt(mut body: &[u8]) -> Option<Pmt> {
    let pcr_pid = word(&mut body)? & PID_BITS;
    sized(&mut body)?;
    let mut streams = Vec::new();
    while let Some((stream_type, mut rest)) = body.split_first() {
        let pid = word(&mut rest)? & PID_BITS;
        let about = sized(&mut rest)?;
        let language =
            descriptors(about).find(|(tag, _)| *tag == LANGUAGE).and_then(|(_, said)| language(said));
        streams.push(Stream { pid, stream_type: *stream_type, kind: kind(*stream_type, about), language });
        body = rest;
    }
    Some(Pmt { pcr_pid, streams })
}

fn sdt(mut body: &[u8]) -> Vec<(u16, Service)> {
    let mut services = Vec::new();
    while let Some(number) = word(&mut body)
        && let Some((_, rest)) = body.split_first()
    {
        body = rest;
        let Some(about) = sized(&mut body) else { break };
        let described = descriptors(about).find(|(tag, _)| *tag == SERVICE);
        if let Some(service) = described.and_then(|(_, said)| service(said)) {
            services.push((number, service));
        }
    }
    services
}

fn service(said: &[u8]) -> Option<Service> {
    let (_, rest) = said.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (provider, rest) = rest.split_at_checked((*length).into())?;
    let (length, rest) = rest.split_first()?;
    Some(Service { provider: text(provider), name: text(rest.get(..usize::from(*length))?) })
}

fn language(said: &[u8]) -> Option<String> {
    let letters = said.get(..3).filter(|letters| letters.iter().all(u8::is_ascii_alphabetic))?;
    Some(letters.iter().copied().map(char::from).collect())
}

/// What a stream is: by its type, or by a descriptor where the type leaves it open (private data).
fn kind(stream_type: u8, about: &[u8]) -> &'static str {
    match stream_type {
        0x01 => "MPEG-1 video",
        0x02 => "MPEG-2 video",
        0x03 => "MPEG-1 audio",
        0x04 => "MPEG-2 audio",
        0x05 => "private sections",
        0x06 => descriptors(about).find_map(kind_of_private).unwrap_or("private data"),
        0x0b..=0x0d => "DSM-CC",
        0x0f => "AAC",
        0x10 => "MPEG-4 video",
        0x11 => "AAC (LATM)",
        0x15 => "metadata",
        0x1b => "H.264",
        0x21 => "JPEG 2000",
        0x24 => "H.265",
        0x33 => "H.266",
        0x81 => "AC-3",
        0x86 => "SCTE 35",
        0x87 => "E-AC-3",
        _ => "",
    }
}

fn kind_of_private((tag, said): (u8, &[u8])) -> Option<&'static str> {
    match (tag, said) {
        (0x05, b"Opus") => Some("Opus"),
        (0x05, b"AC-3") | (0x6a, _) => Some("AC-3"),
        (0x05, b"EAC3") | (0x7a, _) => Some("E-AC-3"),
        (0x05, b"HEVC") => Some("H.265"),
        (0x05, b"KLVA") => Some("KLV metadata"),
        (0x05, b"BSSD") => Some("SMPTE 302M audio"),
        (0x56, _) => Some("teletext"),
        (0x59, _) => Some("DVB subtitles"),
        (0x7b, _) => Some("DTS"),
        (0x7c, _) => Some("AAC"),
        _ => None,
    }
}

/// Tags, and what each says. Ends where a length does not fit.
fn descriptors(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, length, after @ ..] = rest else { return None };
        let (said, next) = after.split_at_checked((*length).into())?;
        rest = next;
        Some((*tag, said))
    })
}

/// What stands behind its own length.
fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = word(bytes)? & LENGTH_BITS;
    let (part, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    Some(part)
}

fn word(bytes: &mut &[u8]) -> Option<u16> {
    let (word, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use proptest::prelude::*;

    fn read(table_id: u8, body: &[u8]) -> Option<Table> {
        Table::read(&Section { table_id, extension: 1, version: 0, is_current: true, body })
    }

    #[test]
    fn a_pat_names_programmes_and_no_network() {
        let body = samples::pat(&[(0, 16), (1, 4096), (2, 0x1abc)]);
        assert_eq!(read(0, &body), Some(Table::Pat(vec![(1, 4096), (2, 0x1abc)])));
    }

    #[test]
    fn a_pmt_names_streams_and_what_they_are() {
        let streams: [(u16, u8, &[u8]); 5] = [
            (256, 0x1b, &[]),
            (257, 0x0f, b"\x0a\x04eng\0"),
            (258, 0x06, b"\x0a\x04deu\0\x59\x08deu\x10\0\x01\0\x01"),
            (259, 0x06, b"\x05\x04Opus"),
            (260, 0xc0, &[]),
        ];
        let Some(Table::Pmt(pmt)) = read(2, &samples::pmt(256, &streams)) else { panic!("a PMT") };
        assert_eq!(pmt.pcr_pid, 256);
        let found: Vec<_> =
            pmt.streams.iter().map(|one| (one.pid, one.kind, one.language.as_deref())).collect();
        let expected = [
            (256, "H.264", None),
            (257, "AAC", Some("eng")),
            (258, "DVB subtitles", Some("deu")),
            (259, "Opus", None),
            (260, "", None),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_sdt_names_services() {
        let body = samples::sdt(&[(1, "FFmpeg", "News"), (2, "", "Sport")]);
        let service = |provider: &str, name: &str| Service { provider: provider.into(), name: name.into() };
        let expected = vec![(1, service("FFmpeg", "News")), (2, service("", "Sport"))];
        assert_eq!(read(0x42, &body), Some(Table::Sdt(expected)));
    }

    #[test]
    fn what_does_not_hold_or_is_cut_short_says_nothing() {
        let body = samples::pmt(256, &[(256, 0x1b, &[])]);
        let later = Section { table_id: 2, extension: 1, version: 0, is_current: false, body: &body };
        assert_eq!(Table::read(&later), None);
        assert_eq!(read(2, &body[..body.len() - 1]), None);
        assert_eq!(read(0x46, &samples::sdt(&[(1, "", "another stream's")])), None);
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(table_id in 0..4_u8, body in prop::collection::vec(any::<u8>(), 0..300)) {
            for table_id in [table_id, 0x42] {
                let _ = read(table_id, &body);
            }
        }
    }
}

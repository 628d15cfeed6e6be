//! Programme specific information: which programmes a transport stream carries, what they are made of and called.
//!
//! ```text
//!  TsPacket ─▶ Sections: one section after the other, whole ─▶ Section: checked ─▶ Table: PAT, PMT, SDT ─▶ Psi
//! ```
//!
//! It is fed packet by packet and knows one transport stream. Whatever comes, what is kept is bounded.

#[cfg(test)]
pub(super) mod samples;
mod section;
mod tables;
mod text;

use std::collections::BTreeMap;

pub use section::{MAX_SECTION_LEN, Section, Sections, section_len};
pub use tables::{Pmt, Service, Stream, Table};
pub use text::text;

use super::ts_packet::TsPacket;

/// The most programmes that are kept; a whole satellite transponder has some 30.
pub const MAX_PROGRAMMES: usize = 64;
/// The most streams of a programme that are kept.
pub const MAX_STREAMS: usize = 64;

const PAT_PID: u16 = 0;
const SDT_PID: u16 = 0x11;

/// What the tables of one transport stream have said so far.
#[derive(Debug, Clone, Default)]
pub struct Psi {
    pat: Sections,
    sdt: Sections,
    pmts: BTreeMap<u16, Sections>,
    /// The version of the PAT that the programmes are from.
    version: Option<u8>,
    programmes: BTreeMap<u16, Programme>,
    services: BTreeMap<u16, Service>,
    damaged: u64,
}

/// One programme.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programme {
    /// The PID of its PMT.
    pub pmt_pid: u16,
    /// What that says, once it has come.
    pub pmt: Option<Pmt>,
}

impl Psi {
    /// Takes the stream's next packet.
    pub fn take(&mut self, packet: &TsPacket<'_>) {
        let mut found = Vec::new();
        let sections = match packet.pid {
            PAT_PID => &mut self.pat,
            SDT_PID => &mut self.sdt,
            other => match self.pmts.get_mut(&other) {
                Some(sections) => sections,
                None => return,
            },
        };
        let mut damaged = 0;
        sections.take(packet, |section| match Section::read(section) {
            Some(section) => {
                found.extend(Table::read(&section).map(|table| (section.extension, section.version, table)))
            }
            None => damaged += u64::from(is_known(section)),
        });
        self.damaged += damaged;
        for (extension, version, table) in found {
            match table {
                Table::Pat(programmes) if packet.pid == PAT_PID => self.list(version, programmes),
                Table::Pmt(pmt) => self.describe(packet.pid, extension, pmt),
                Table::Sdt(services) if packet.pid == SDT_PID => self.name(services),
                _ => {}
            }
        }
    }

    /// The programmes by number.
    pub fn programmes(&self) -> impl Iterator<Item = (u16, &Programme)> {
        self.programmes.iter().map(|(number, programme)| (*number, programme))
    }

    /// What a programme is called, where the stream says so.
    #[must_use]
    pub fn service(&self, programme: u16) -> Option<&Service> {
        self.services.get(&programme)
    }

    /// What a PID is, where a table says so: `PAT`, `PMT`, `SDT`, or a stream in words.
    #[must_use]
    pub fn kind(&self, pid: u16) -> Option<&'static str> {
        let streams =
            || self.programmes.values().filter_map(|one| one.pmt.as_ref()).flat_map(|pmt| &pmt.streams);
        match pid {
            PAT_PID => Some("PAT"),
            1 => Some("CAT"),
            0x10 => Some("NIT"),
            SDT_PID => Some("SDT"),
            0x12 => Some("EIT"),
            0x14 => Some("TDT"),
            super::ts_packet::NULL_PID => Some("null"),
            _ if self.pmts.contains_key(&pid) => Some("PMT"),
            _ => streams().find(|stream| stream.pid == pid).map(|stream| stream.kind),
        }
        .filter(|kind| !kind.is_empty())
    }

    /// Sections of known tables that came whole and whose checksum was wrong.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn list(&mut self, version: u8, programmes: Vec<(u16, u16)>) {
        if self.version.replace(version) != Some(version) {
            self.programmes.clear();
            self.pmts.clear();
        }
        for (number, pmt_pid) in programmes {
            let has_room = self.programmes.len() < MAX_PROGRAMMES || self.programmes.contains_key(&number);
            if has_room && pmt_pid != PAT_PID && pmt_pid != SDT_PID {
                self.programmes.entry(number).or_default().pmt_pid = pmt_pid;
                self.pmts.entry(pmt_pid).or_default();
            }
        }
        // A programme may have moved to another PID.
        let in_use = |pid: &u16| self.programmes.values().any(|programme| programme.pmt_pid == *pid);
        self.pmts.retain(|pid, _| in_use(pid));
    }

    fn describe(&mut self, pid: u16, number: u16, mut pmt: Pmt) {
        pmt.streams.truncate(MAX_STREAMS);
        if let Some(programme) = self.programmes.get_mut(&number).filter(|programme| programme.pmt_pid == pid)
        {
            programme.pmt = Some(pmt);
        }
    }

    fn name(&mut self, services: Vec<(u16, Service)>) {
        for (number, service) in services {
            if self.services.len() < MAX_PROGRAMMES || self.services.contains_key(&number) {
                self.services.insert(number, service);
            }
        }
    }
}

/// Whether it would be of a table that is read here, were it not damaged.
fn is_known(section: &[u8]) -> bool {
    matches!(section.first(), Some(0x00 | 0x02 | 0x42))
}

#[cfg(test)]
mod tests {
    use super::samples::{packets_of, pat, pmt, sdt, section};
    use super::*;
    use crate::wire::fuzz;
    use proptest::prelude::*;

    /// One stream that tells of two programmes.
    fn stream() -> Vec<Vec<u8>> {
        let tables = [
            (0, section(0, 1, &pat(&[(0, 16), (1, 4096), (2, 4097)]))),
            (4096, section(2, 1, &pmt(256, &[(256, 0x1b, &[]), (257, 0x0f, b"\x0a\x04eng\0")]))),
            (4097, section(2, 2, &pmt(512, &[(512, 0x24, &[])]))),
            (SDT_PID, section(0x42, 1, &sdt(&[(1, "Acme", "News"), (2, "Acme", "Sport")]))),
        ];
        tables.iter().flat_map(|(pid, section)| packets_of(*pid, 0, &[section])).collect()
    }

    fn heard(packets: &[Vec<u8>]) -> Psi {
        let mut psi = Psi::default();
        packets.iter().filter_map(|packet| TsPacket::read(packet)).for_each(|packet| psi.take(&packet));
        psi
    }

    #[test]
    fn programmes_are_found_with_their_streams_and_names() {
        let psi = heard(&stream());
        let numbers: Vec<_> = psi.programmes().map(|(number, one)| (number, one.pmt_pid)).collect();
        assert_eq!(numbers, [(1, 4096), (2, 4097)]);
        assert_eq!(
            psi.service(1).map(|service| (&*service.provider, &*service.name)),
            Some(("Acme", "News"))
        );
        let kinds = [0, 17, 4096, 256, 257, 512, 300, 0x1fff].map(|pid| psi.kind(pid));
        let expected = ["PAT", "SDT", "PMT", "H.264", "AAC", "H.265", "", "null"];
        assert_eq!(kinds.map(Option::unwrap_or_default), expected);
        assert_eq!(psi.damaged(), 0);
    }

    #[test]
    fn another_version_of_the_list_takes_the_place_of_the_first() {
        let mut packets = stream();
        let mut changed = section(0, 1, &pat(&[(3, 4098)]));
        changed[5] ^= 2;
        let end = changed.len() - 4;
        let crc = super::section::crc32(&changed[..end]).to_be_bytes();
        changed[end..].copy_from_slice(&crc);
        packets.extend(packets_of(0, 1, &[&changed]));
        let psi = heard(&packets);
        assert_eq!(psi.programmes().map(|(number, _)| number).collect::<Vec<_>>(), [3]);
        assert_eq!(psi.kind(4096), None);
    }

    #[test]
    fn what_is_damaged_is_counted_and_says_nothing() {
        let mut packets = stream();
        packets.iter_mut().for_each(|packet| packet[16] ^= 0x55);
        let psi = heard(&packets);
        assert_eq!((psi.programmes().count(), psi.damaged()), (0, 2), "of the list, and of the names");
    }

    #[test]
    fn however_many_programmes_there_are_so_many_are_kept() {
        let numbers: Vec<_> = (1..=200).map(|number| (number, 4096 + number)).collect();
        let psi = heard(&packets_of(0, 0, &[&section(0, 1, &pat(&numbers))]));
        assert_eq!((psi.programmes().count(), psi.pmts.len()), (MAX_PROGRAMMES, MAX_PROGRAMMES));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
            fuzz::psi::exercise(&bytes);
        }

        #[test]
        fn a_damaged_stream_is_no_trouble(places in prop::collection::vec((0..4_usize, 0..188_usize, any::<u8>()), 1..20)) {
            let mut packets = stream();
            places.into_iter().for_each(|(packet, place, byte)| packets[packet][place] = byte);
            fuzz::psi::exercise(&packets.concat());
        }
    }
}

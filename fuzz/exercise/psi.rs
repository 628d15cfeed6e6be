//! What must hold for whatever a transport stream carries as its tables. `super::wire` is the crate's wire floor.

use super::wire::psi::{MAX_PROGRAMMES, MAX_SECTION_LEN, MAX_STREAMS, Psi, Section, Sections, Table, text};
use super::wire::ts_packet::TsPacket;

pub fn exercise(bytes: &[u8]) {
    let (mut psi, mut sections) = (Psi::default(), Sections::default());
    for packet in bytes.chunks(188).filter_map(TsPacket::read) {
        assert!(packet.payload.is_none_or(|payload| payload.len() <= 184));
        sections.take(&packet, |section| assert!((3..=MAX_SECTION_LEN).contains(&section.len())));
        psi.take(&packet);
        assert!(psi.kind(packet.pid).is_none_or(|kind| !kind.is_empty()));
    }
    assert!(psi.programmes().count() <= MAX_PROGRAMMES);
    for (number, programme) in psi.programmes() {
        assert!(programme.pmt.as_ref().is_none_or(|pmt| pmt.streams.len() <= MAX_STREAMS));
        let _ = psi.service(number);
    }
    // What no checksum lets through is read too.
    for table_id in [0x00, 0x02, 0x42] {
        let _ = Table::read(&Section { table_id, extension: 1, version: 0, is_current: true, body: bytes });
    }
    assert!(text(bytes).chars().count() <= bytes.len());
}

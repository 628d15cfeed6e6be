//! The newest tables of a transport stream, as the packets that they came in: who enters it gets them first.
//!
//! They go out as they came, with their continuity counters: what follows of their PIDs in the stream counts on from there.

use std::collections::BTreeMap;

use super::super::psi::section_len;
use super::super::ts_packet::{HEADER_LEN, PACKET_LEN, TsPacket};

/// So many packets are a table's; that of a programme takes one, or two.
const MOST_PACKETS: usize = 4;
/// Packets of one datagram (RFC 2250 section 2: as many as the path takes).
const MOST_IN_PROLOGUE: usize = 7;

/// The tables by PID, PAT first.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables(BTreeMap<u16, Table>);

/// One table.
#[derive(Debug, Clone, Default)]
struct Table {
    /// The packets of the newest one that is whole.
    whole: Vec<u8>,
    /// Those of one whose end has not come.
    begun: Vec<u8>,
}

impl Tables {
    /// Keeps the tables of these PIDs, and of no others.
    pub fn be_of(&mut self, pids: impl Fn(u16) -> bool, all: impl Iterator<Item = u16>) {
        self.0.retain(|pid, _| pids(*pid));
        for pid in all {
            self.0.entry(pid).or_default();
        }
    }

    /// Takes in a packet of a table. `false`: it says again what was known.
    pub fn take(&mut self, packet: &TsPacket<'_>, bytes: &[u8]) -> bool {
        let Some((table, bytes)) = self.0.get_mut(&packet.pid).zip(bytes.get(..PACKET_LEN)) else {
            return false;
        };
        if packet.starts_unit {
            if table.whole.len() == PACKET_LEN && is_alike(&table.whole, bytes) {
                table.whole.copy_from_slice(bytes);
                return false;
            }
            table.begun.clear();
        } else if table.begun.is_empty() || table.begun.len() >= MOST_PACKETS * PACKET_LEN {
            table.begun.clear();
            return true;
        }
        table.begun.extend_from_slice(bytes);
        if is_whole(&table.begun) {
            table.whole = std::mem::take(&mut table.begun);
        }
        true
    }

    /// What goes before. `None`: no table is known, or they are more than a packet takes.
    pub fn prologue(&self) -> Option<Vec<u8>> {
        let all = self.0.values().map(|table| &*table.whole).collect::<Vec<_>>().concat();
        let is_complete = !self.0.is_empty() && self.0.values().all(|table| !table.whole.is_empty());
        (is_complete && all.len() <= MOST_IN_PROLOGUE * PACKET_LEN).then_some(all)
    }
}

/// Whether two packets are the same but for the continuity counter.
fn is_alike(one: &[u8], other: &[u8]) -> bool {
    one[..HEADER_LEN - 1] == other[..HEADER_LEN - 1]
        && one[HEADER_LEN - 1] & 0xf0 == other[HEADER_LEN - 1] & 0xf0
        && one[HEADER_LEN..] == other[HEADER_LEN..]
}

/// Whether the first section that begins in these packets ends in them.
fn is_whole(packets: &[u8]) -> bool {
    let packets = packets.chunks_exact(PACKET_LEN).filter_map(TsPacket::read);
    let payload = packets.filter_map(|packet| packet.payload).collect::<Vec<_>>().concat();
    let section = payload.split_first().and_then(|(pointer, rest)| rest.get(usize::from(*pointer)..));
    section.is_some_and(|section| section_len(section).is_some_and(|length| length <= section.len()))
}

//! Where a transport stream can be entered: at a picture of each of its programmes that a decoder can start with, told by the
//! random access indicator, or where that is not set by the video's own units. A programme without video is entered at its sound.
//!
//! Of several programmes each is to be whole: it is entered at the oldest of their newest starts. What is encrypted is looked at
//! no further than its header.

use std::cell::OnceCell;

use super::super::psi::{Psi, Stream};
use super::super::transport_stream::packets;
use super::super::ts_packet::TsPacket;
use super::Start;
use super::tables::Tables;
use super::units::{Codec, Look, Verdict};

/// A programme whose newest start is so many packets ago is waited for no longer.
const MOST_BEHIND: u64 = 1 << 15;
const PAT_PID: u16 = 0;
/// PIDs have 13 bits.
const PIDS: usize = 1 << 13;
/// What a PES begins with, up to the length of the rest of its header.
const PES_HEAD: usize = 9;

#[derive(Debug)]
pub(super) struct TransportStream {
    psi: Psi,
    tables: Tables,
    /// The PIDs of tables, and of what programmes are entered by.
    of_tables: Pids,
    of_entries: Pids,
    entries: Vec<Entry>,
    /// Whether one of them has begun with a picture that has not said yet what it is.
    is_open: bool,
    /// Where it was entered last, and where the picture there ends.
    told: Option<(u64, Option<u64>)>,
}

/// How a programme is entered: by the stream of its that has to be whole.
#[derive(Debug)]
struct Entry {
    programme: u16,
    /// `None`: which it is, nobody has said yet. Any that looks like video is.
    pid: Option<u16>,
    by: By,
    newest: Option<Start>,
}

#[derive(Debug)]
enum By {
    /// Whatever begins.
    Unit,
    /// What has the indicator.
    Indicator,
    /// That, or what the picture's own units say: one that has not said it yet, and where it begins.
    Picture(Codec, Option<(Look, Start)>),
}

/// A set of PIDs.
#[derive(Debug)]
struct Pids(Box<[u64; PIDS / 64]>);

impl Default for Pids {
    fn default() -> Self {
        Self(Box::new([0; PIDS / 64]))
    }
}

impl Pids {
    fn all() -> Self {
        Self(Box::new([u64::MAX; PIDS / 64]))
    }

    fn has(&self, pid: u16) -> bool {
        let pid = usize::from(pid) % PIDS;
        self.0[pid / 64] >> (pid % 64) & 1 != 0
    }

    fn add(&mut self, pid: u16) {
        let pid = usize::from(pid) % PIDS;
        self.0[pid / 64] |= 1 << (pid % 64);
    }
}

/// What goes before, of the tables as they were before a datagram. Made when it is needed.
type Before = OnceCell<Option<Vec<u8>>>;

impl Default for TransportStream {
    fn default() -> Self {
        let mut stream = Self {
            psi: Psi::default(),
            tables: Tables::default(),
            of_tables: Pids::default(),
            of_entries: Pids::default(),
            entries: Vec::new(),
            is_open: false,
            told: None,
        };
        stream.read_tables();
        stream
    }
}

impl TransportStream {
    /// Takes in the payload of the packet of a number.
    pub fn take(&mut self, number: u64, payload: &[u8]) -> Option<Start> {
        let before = Before::new();
        let mut is_told = false;
        for bytes in packets(payload) {
            let [_, high, low, ..] = *bytes else { continue };
            let (pid, begins) = (u16::from_be_bytes([high & 0x1f, low]), high & 0x40 != 0);
            let is_table = self.of_tables.has(pid);
            if !is_table && !(self.of_entries.has(pid) && (begins || self.is_open)) {
                continue;
            }
            let Some(packet) = TsPacket::read(bytes).filter(|packet| !packet.is_broken) else { continue };
            if is_table {
                before.get_or_init(|| self.tables.prologue());
                if self.tables.take(&packet, bytes) {
                    self.psi.take(&packet);
                    self.read_tables();
                }
            } else {
                is_told |= self.enter(number, &packet, &before);
            }
        }
        if self.is_open {
            self.leave_open(number, &before);
        }
        if is_told { self.newest(number) } else { None }
    }

    /// Takes in a packet of a stream that programmes are entered by. `true`: one of them can be.
    fn enter(&mut self, number: u64, packet: &TsPacket<'_>, before: &Before) -> bool {
        let mut is_told = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.pid.is_none_or(|pid| pid == packet.pid)) {
            is_told |= packet.starts_unit && entry.ends(number, packet);
            if let Some(mut start) = entry.take(number, packet) {
                if start.number == number {
                    start.prologue.clone_from(before.get_or_init(|| self.tables.prologue()));
                }
                entry.newest = Some(start);
                is_told = true;
            }
        }
        self.is_open = self.entries.iter().any(|entry| matches!(entry.by, By::Picture(_, Some(_))));
        is_told
    }

    /// What has begun in a packet and is told by a later one only, is entered with the tables of this one.
    fn leave_open(&mut self, number: u64, before: &Before) {
        for entry in &mut self.entries {
            if let By::Picture(_, Some((_, begins))) = &mut entry.by
                && begins.number == number
            {
                begins.prologue.clone_from(before.get_or_init(|| self.tables.prologue()));
            }
        }
    }

    fn newest(&mut self, number: u64) -> Option<Start> {
        let is_recent = |start: &&Start| start.number + MOST_BEHIND > number;
        let starts = self.entries.iter().filter_map(|entry| entry.newest.as_ref());
        let start = starts.filter(is_recent).min_by_key(|start| start.number)?;
        let is_new = self.told.replace((start.number, start.end)) != Some((start.number, start.end));
        is_new.then(|| start.clone())
    }

    /// Finds what programmes are entered by, as the tables say now.
    fn read_tables(&mut self) {
        let pmts: Vec<u16> = self.psi.programmes().map(|(_, programme)| programme.pmt_pid).collect();
        self.tables.be_of(|pid| pid == PAT_PID || pmts.contains(&pid), pmts.iter().copied().chain([PAT_PID]));
        let mut before = std::mem::take(&mut self.entries);
        for (number, programme) in self.psi.programmes() {
            let streams = programme.pmt.iter().flat_map(|pmt| &pmt.streams);
            let Some((pid, by)) = entered_by(streams) else { continue };
            if self.entries.iter().any(|entry| entry.pid == Some(pid)) {
                continue; // two programmes share it
            }
            let known = before.iter().position(|entry| (entry.programme, entry.pid) == (number, Some(pid)));
            let newest = known.and_then(|place| before.swap_remove(place).newest);
            self.entries.push(Entry { programme: number, pid: Some(pid), by, newest });
        }
        if self.entries.is_empty() {
            let newest = before.into_iter().find(|entry| entry.pid.is_none()).and_then(|entry| entry.newest);
            self.entries.push(Entry { programme: 0, pid: None, by: By::Indicator, newest });
        }
        let is_any = self.entries.iter().any(|entry| entry.pid.is_none());
        self.of_entries = if is_any { Pids::all() } else { Pids::default() };
        self.entries.iter().filter_map(|entry| entry.pid).for_each(|pid| self.of_entries.add(pid));
        self.of_tables = Pids::default();
        pmts.into_iter().chain([PAT_PID]).for_each(|pid| self.of_tables.add(pid));
        self.is_open = false;
    }
}

/// The stream that a programme is entered by, and how: its first video, or else its first sound.
fn entered_by<'a>(mut streams: impl Iterator<Item = &'a Stream> + Clone) -> Option<(u16, By)> {
    if let Some(video) = streams.clone().find(|stream| stream.is_video()) {
        let codec = match video.kind {
            "MPEG-1 video" | "MPEG-2 video" => Some(Codec::Mpeg2),
            "H.264" => Some(Codec::H264),
            "H.265" => Some(Codec::H265),
            _ => None,
        };
        let by = codec.map_or(By::Indicator, |codec| By::Picture(codec, None));
        return Some((video.pid, by));
    }
    streams.find(|stream| stream.is_sound()).map(|sound| (sound.pid, By::Unit))
}

impl Entry {
    /// Another unit begins. `true`: the picture that it was entered at is over.
    fn ends(&mut self, number: u64, packet: &TsPacket<'_>) -> bool {
        let is_its = self.pid.is_some() || is_video(packet);
        let open =
            self.newest.as_mut().filter(|start| is_its && start.end.is_none() && start.number < number);
        open.map(|start| start.end = Some(number)).is_some()
    }

    /// Takes in a packet of its stream. The start that is found has no prologue yet, if it is in the same datagram.
    #[inline]
    fn take(&mut self, number: u64, packet: &TsPacket<'_>) -> Option<Start> {
        let here = Start { number, ..Start::default() };
        let is_flagged = packet.is_random_access && (self.pid.is_some() || is_video(packet));
        match &mut self.by {
            By::Picture(_, None) | By::Unit | By::Indicator if !packet.starts_unit => None,
            By::Unit => Some(here),
            By::Indicator => is_flagged.then_some(here),
            By::Picture(_, open) if packet.starts_unit && is_flagged => {
                *open = None;
                Some(here)
            }
            By::Picture(codec, open) => {
                if packet.starts_unit {
                    *open = Some((Look::new(*codec), here));
                }
                let verdict = look_at(open, packet);
                if verdict == Verdict::Open {
                    return None;
                }
                open.take().filter(|_| verdict == Verdict::Start).map(|(_, start)| start)
            }
        }
    }
}

/// What a picture that has not said yet what it is says with a packet more.
fn look_at(open: &mut Option<(Look, Start)>, packet: &TsPacket<'_>) -> Verdict {
    let Some((look, _)) = open.as_mut().filter(|_| !packet.is_scrambled) else { return Verdict::Needy };
    let payload = packet.payload.unwrap_or_default();
    if !packet.starts_unit {
        return look.take(payload);
    }
    let header = payload.get(PES_HEAD - 1).map_or(0, |length| PES_HEAD + usize::from(*length));
    payload.get(header..).map_or(Verdict::Needy, |units| look.take(units))
}

/// Whether what begins in a packet is video, by the id of its PES (ISO/IEC 13818-1 table 2-22).
fn is_video(packet: &TsPacket<'_>) -> bool {
    matches!(packet.payload, Some([0, 0, 1, 0xe0..=0xef, ..]))
}

#[cfg(test)]
mod tests {
    use super::super::super::psi::samples::{packets_of, pat, pmt, section};
    use super::super::super::ts_packet::PACKET_LEN;
    use super::*;
    use proptest::prelude::*;

    const IDR: &[u8] = &[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 77, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 0x88];
    const PREDICTED: &[u8] = &[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41, 0x9a, 0, 0, 0, 0, 0, 0, 0];

    /// A packet in which a unit begins, or goes on.
    fn packet(pid: u16, begins: bool, is_flagged: bool, units: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![
            0x47,
            if begins { high | 0x40 } else { high },
            low,
            0x30,
            1,
            if is_flagged { 0x40 } else { 0 },
        ];
        if begins {
            packet.extend([0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1]);
        }
        packet.extend(units);
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    /// The tables of programmes, each with a stream of a type at 256 times its number, in packets that count from here.
    fn tables(programmes: &[(u16, u8)], count: u8) -> Vec<Vec<u8>> {
        let pid = |number: u16| 4096 + number;
        let list: Vec<_> = programmes.iter().map(|(number, _)| (*number, pid(*number))).collect();
        let mut packets = packets_of(0, count, &[&section(0, 1, &pat(&list))]);
        for (number, stream_type) in programmes {
            let body = pmt(256 * number, &[(256 * number, *stream_type, &[])]);
            packets.extend(packets_of(pid(*number), count, &[&section(2, *number, &body)]));
        }
        packets
    }

    /// Where a stream of datagrams is entered, one after the other.
    fn starts(datagrams: &[Vec<u8>]) -> Vec<Start> {
        let mut stream = TransportStream::default();
        (0..).zip(datagrams).filter_map(|(number, datagram)| stream.take(number, datagram)).collect()
    }

    fn numbers(datagrams: &[Vec<u8>]) -> Vec<u64> {
        let mut numbers: Vec<_> = starts(datagrams).iter().map(|start| start.number).collect();
        numbers.dedup();
        numbers
    }

    #[test]
    fn a_picture_that_it_is_entered_at_ends_where_the_next_one_of_its_stream_begins() {
        let stream = [
            tables(&[(1, 0x1b), (2, 0x24)], 0).concat(),
            packet(256, true, true, IDR),
            packet(512, true, true, IDR),
            packet(256, false, false, &[]),
            packet(512, true, false, PREDICTED),
            [packet(256, false, false, &[]), packet(256, true, false, PREDICTED)].concat(),
            packet(256, true, false, PREDICTED),
        ];
        let ends: Vec<_> = starts(&stream).iter().map(|start| (start.number, start.end)).collect();
        assert_eq!(ends, [(1, None), (1, Some(5))]);
    }

    #[test]
    fn a_picture_is_told_by_the_indicator_or_by_its_own_units() {
        let stream = [
            tables(&[(1, 0x1b)], 0).concat(),
            packet(256, true, false, PREDICTED),
            packet(256, true, true, PREDICTED),
            packet(256, false, true, IDR),
            packet(256, true, false, IDR),
            packet(257, true, true, IDR),
        ];
        assert_eq!(numbers(&stream), [2, 4]);
    }

    #[test]
    fn before_the_tables_are_known_any_flagged_video_will_do() {
        assert_eq!(numbers(&[packet(300, true, true, PREDICTED), packet(300, true, false, IDR)]), [0]);
        let mut sound = packet(300, true, true, &[]);
        sound[9] = 0xc0;
        assert_eq!(numbers(&[sound]), [0_u64; 0], "sound is flagged all the time");
    }

    #[test]
    fn what_a_later_packet_tells_is_entered_where_it_began_with_the_tables_of_then() {
        let sei = [&[0, 0, 1, 9, 0xf0, 0, 0, 1, 6, 5, 200][..], &[7; 160]].concat();
        let rest = [&[7; 40][..], &[0x80], IDR].concat();
        let before = tables(&[(1, 0x1b)], 3);
        let stream = [
            before.concat(),
            packet(256, true, false, &sei[..168]),
            tables(&[(1, 0x1b)], 4).concat(),
            packet(256, false, false, &rest),
        ];
        assert_eq!(starts(&stream), [Start { number: 1, prologue: Some(before.concat()), end: None }]);
    }

    #[test]
    fn tables_in_the_same_datagram_count_on_from_those_that_go_before() {
        let (before, with) = (tables(&[(1, 0x1b)], 3), tables(&[(1, 0x1b)], 4));
        let stream = [before.concat(), [with.concat(), packet(256, true, true, IDR)].concat()];
        assert_eq!(starts(&stream), [Start { number: 1, prologue: Some(before.concat()), end: None }]);
        assert_eq!(starts(&stream[1..]), [Start::default()], "there were none");
    }

    #[test]
    fn of_several_programmes_each_is_whole() {
        let [one, two] = [256, 512].map(|pid| packet(pid, true, true, IDR));
        let stream = [
            tables(&[(1, 0x1b), (2, 0x24)], 0).concat(),
            one.clone(),
            packet(512, true, false, PREDICTED),
            two.clone(),
            one.clone(),
            one.clone(),
            two,
        ];
        assert_eq!(numbers(&stream), [1, 3, 5]);
        let mut gone = TransportStream::default();
        (0..).zip(&stream[..4]).for_each(|(number, datagram)| drop(gone.take(number, datagram)));
        let ended =
            [MOST_BEHIND, MOST_BEHIND + 10].map(|number| gone.take(number, &one).map(|start| start.number));
        assert_eq!(ended, [Some(3), Some(MOST_BEHIND + 10)], "the second one has ended");
    }

    #[test]
    fn a_programme_without_pictures_is_entered_at_its_sound() {
        let sound = packet(256, true, false, &[]);
        let stream = [tables(&[(1, 0x0f)], 0).concat(), sound.clone(), packet(256, false, false, &[]), sound];
        assert_eq!(numbers(&stream), [1, 3]);
    }

    #[test]
    fn when_the_tables_change_it_is_entered_by_the_new_ones() {
        let mut other = tables(&[(1, 0x1b)], 1);
        let body = pmt(700, &[(700, 0x24, &[])]);
        other[1] = packets_of(4097, 1, &[&section(2, 1, &body)]).remove(0);
        let irap = [0, 0, 1, 35 << 1, 1, 0x50, 0, 0, 1, 19 << 1, 1, 0xaf];
        let stream = [
            tables(&[(1, 0x1b)], 0).concat(),
            packet(256, true, false, IDR),
            other.concat(),
            packet(256, true, false, IDR),
            packet(700, true, false, &irap),
        ];
        assert_eq!(numbers(&stream), [1, 4]);
    }

    #[test]
    fn what_is_encrypted_is_told_by_its_indicator_alone() {
        let scrambled = |flagged| {
            let mut packet = packet(256, true, flagged, IDR);
            packet[3] |= 0x80;
            packet
        };
        assert_eq!(numbers(&[tables(&[(1, 0x1b)], 0).concat(), scrambled(false), scrambled(true)]), [2]);
    }

    #[test]
    fn parity_is_no_part_of_it() {
        let with_parity =
            |packets: &[Vec<u8>]| packets.iter().flat_map(|one| [one, &[7; 16][..]].concat()).collect();
        let before = tables(&[(1, 0x1b)], 0);
        let stream: [Vec<u8>; 2] = [with_parity(&before), with_parity(&[packet(256, true, false, IDR)])];
        assert_eq!(starts(&stream), [Start { number: 1, prologue: Some(before.concat()), end: None }]);
    }

    #[test]
    fn more_tables_than_a_packet_takes_are_left_out() {
        let many: Vec<_> = (1..8).map(|number| (number, 0x1b)).collect();
        let stream = [tables(&many, 0).concat(), packet(256, true, true, IDR)];
        assert_eq!(starts(&stream), [Start { number: 1, ..Start::default() }]);
    }

    #[test]
    fn a_picture_that_never_says_what_it_is_costs_a_bounded_look() {
        let mut stream = vec![tables(&[(1, 0x1b)], 0).concat(), packet(256, true, false, &[])];
        stream.resize(50, packet(256, false, false, &[0; 182]));
        stream.push(packet(256, false, false, IDR));
        assert_eq!(numbers(&stream), [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn a_damaged_stream_is_no_trouble(places in prop::collection::vec((0..12_usize, 0..188_usize, any::<u8>()), 0..40)) {
            let mut packets = tables(&[(1, 0x1b), (2, 2), (3, 0x24)], 0);
            packets.extend([256, 512, 768, 256].map(|pid| packet(pid, true, false, IDR)));
            packets.extend([256, 512, 768, 256].map(|pid| packet(pid, false, false, PREDICTED)));
            for (packet, place, byte) in places {
                packets[packet][place] = byte;
            }
            let mut stream = TransportStream::default();
            for (number, datagram) in packets.chunks(3).cycle().take(20).enumerate() {
                if let Some(start) = stream.take(number as u64, &datagram.concat()) {
                    prop_assert!(start.number <= number as u64);
                    prop_assert!(start.prologue.is_none_or(|tables| tables.len() <= 7 * 188));
                }
            }
        }
    }
}

//! The index of a transport stream in a file: which byte of it comes when, by its own clock, and where a decoder can start.
//!
//! ```text
//!  file ─▶ TsMarking: runs of up to seven packets ─▶ clock references, starts ─▶ TsIndex ─▶ bytes, kept beside the file
//! ```
//!
//! Between two clock references bytes come evenly. A clock that begins anew goes on here.

use std::collections::VecDeque;

use super::super::random_access::Starts;
use super::super::transport_stream::{MOST_PACKET_LEN, PACKET_LEN, Pcr, SYNC, file_packet_len, pcr};

/// Packets of a transport stream that go together, as most sources send them (RFC 2250 section 2).
pub const TOGETHER: usize = 7;
/// Bytes that tell where the packets of the next run are.
pub const RUN_LEN: usize = TOGETHER * MOST_PACKET_LEN + 1;
/// Clock references that come sooner than that after the last one say nothing new.
const CLOCKS_APART_US: u64 = 40_000;
/// A clock that has gone on for longer, from one reference to the next, has been set: 10 s.
const LONGEST_STEP: u64 = 900_000;
const PCR_WRAP: u64 = 1 << 33;
/// Runs that are looked back at for the beginning of a picture.
const MOST_BACK: usize = 1 << 15;
/// As many as a week of film has.
const MOST_MARKS: usize = 1 << 24;

const MAGIC: &[u8; 8] = b"mbfilm01";
const HEAD_LEN: usize = 8 + 8 + 16 + 8 + 8;

/// Which byte comes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    offset: u64,
    at_us: u64,
}

/// The index of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsIndex {
    packet_len: usize,
    /// In their order, two at least.
    clocks: Vec<Clock>,
    /// The runs that a decoder can start with, in their order.
    starts: Vec<u64>,
}

/// By what a file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// How long it is.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub changed_ns: i128,
}

impl Identity {
    /// How fast it is, over all of it, where it takes so long.
    #[must_use]
    pub fn bytes_per_second(&self, duration_us: u64) -> u64 {
        self.bytes.saturating_mul(1_000_000).checked_div(duration_us).unwrap_or(0)
    }
}

/// Why there is no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoIndex {
    /// It says nowhere when it is.
    #[error("no two clock references (PCR) are in it: nothing tells how fast it goes")]
    NoClock,
    /// It has more of them than are kept.
    #[error("it is longer than {MOST_MARKS} clock references or pictures to start with")]
    TooLong,
    /// What was kept is none, or is of another file.
    #[error("what is kept is no index of this file")]
    Foreign,
}

/// An index, as it is made.
#[derive(Debug)]
pub struct TsMarking {
    at: u64,
    packet_len: usize,
    starts: Starts,
    /// Where the newest runs begin.
    runs: VecDeque<u64>,
    clock: Option<RunningClock>,
    marks: TsIndex,
    is_too_long: bool,
}

/// The clock that all goes by: the first one that there is.
#[derive(Debug, Clone, Copy)]
struct RunningClock {
    pid: u16,
    base: u64,
    at: Clock,
    /// Bytes a second, as it was last.
    rate: u64,
}

impl Default for TsMarking {
    fn default() -> Self {
        let marks = TsIndex { packet_len: PACKET_LEN, clocks: Vec::new(), starts: Vec::new() };
        Self {
            at: 0,
            packet_len: PACKET_LEN,
            starts: Starts::of("video", Some("MP2T"), false),
            runs: VecDeque::new(),
            clock: None,
            marks,
            is_too_long: false,
        }
    }
}

impl TsMarking {
    /// How far the file was read.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Reads on, in what the file has from [`at`](Self::at) on: all that is left where it `is_all`. `false`: nothing more can be read.
    pub fn read(&mut self, file: &[u8], is_all: bool) -> bool {
        let before = self.at;
        let mut rest = file;
        while is_all && !rest.is_empty() || rest.len() >= RUN_LEN {
            let run = next_run(rest, self.packet_len);
            self.packet_len = run.packet_len_after(self.packet_len);
            if run.begin < run.end {
                self.take(self.at + run.begin as u64, &run.packets(rest).collect::<Vec<_>>());
            }
            self.at += run.end as u64;
            rest = &rest[run.end..];
        }
        self.at > before && !self.is_too_long
    }

    fn take(&mut self, offset: u64, packets: &[&[u8]]) {
        if self.runs.len() == MOST_BACK {
            self.runs.pop_front();
        }
        self.runs.push_back(offset);
        let of_clock = |pcr: &Pcr| self.clock.is_none_or(|clock| clock.pid == pcr.pid);
        if let Some(pcr) = packets.iter().find_map(|packet| pcr(packet).filter(of_clock)) {
            self.tick(pcr, offset);
        }
        if let Some(found) = self.starts.take(0, &packets.concat()) {
            let back = usize::try_from(found.back).unwrap_or(usize::MAX);
            let place = self.runs.len().checked_sub(back.saturating_add(1));
            let start = place.and_then(|place| self.runs.get(place));
            let is_new = |start: &&u64| self.marks.starts.last().is_none_or(|last| last < *start);
            self.marks.starts.extend(start.filter(is_new).copied());
        }
        self.is_too_long = self.marks.starts.len().max(self.marks.clocks.len()) >= MOST_MARKS;
    }

    fn tick(&mut self, Pcr { pid, base, is_discontinuous }: Pcr, offset: u64) {
        let Some(RunningClock { base: before, at, rate, .. }) = self.clock else {
            let at = Clock { offset, at_us: 0 };
            self.clock = Some(RunningClock { pid, base, at, rate: 0 });
            self.marks.clocks.push(at);
            return;
        };
        let (passed, bytes) = (base.wrapping_sub(before) % PCR_WRAP, offset - at.offset);
        let has_been_set = is_discontinuous || passed > LONGEST_STEP;
        // Then the bytes say how much time has passed.
        let passed_us =
            if has_been_set { (bytes * 1_000_000).checked_div(rate).unwrap_or(0) } else { passed * 100 / 9 };
        if passed_us < CLOCKS_APART_US && !has_been_set {
            return;
        }
        let rate = if has_been_set { rate } else { bytes * 1_000_000 / passed_us };
        let at = Clock { offset, at_us: at.at_us + passed_us };
        self.clock = Some(RunningClock { pid, base, at, rate });
        self.marks.clocks.push(at);
    }

    /// The index, once all of the file was read.
    ///
    /// # Errors
    /// Nothing in it says when it is.
    pub fn index(mut self) -> Result<TsIndex, NoIndex> {
        if self.is_too_long {
            return Err(NoIndex::TooLong);
        }
        let [.., before, last] = self.marks.clocks[..] else { return Err(NoIndex::NoClock) };
        let (passed, bytes) = (last.at_us - before.at_us, (last.offset - before.offset).max(1));
        let left_us = (self.at - last.offset).saturating_mul(passed) / bytes;
        if self.at > last.offset {
            self.marks.clocks.push(Clock { offset: self.at, at_us: last.at_us + left_us });
        }
        self.marks.packet_len = self.packet_len;
        Ok(self.marks)
    }
}

/// The packets that a file goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where they begin: what is before them is none.
    pub begin: usize,
    /// Where they end.
    pub end: usize,
    /// The length of one, with what is between it and the next: the first 188 bytes are the packet.
    pub packet_len: usize,
}

impl Run {
    /// The packets, in the part of the file that it was found in.
    pub fn packets(self, file: &[u8]) -> impl Iterator<Item = &[u8]> {
        let strides = file.get(self.begin..self.end).unwrap_or_default().chunks(self.packet_len);
        strides.filter_map(|stride| stride.get(..PACKET_LEN))
    }

    /// Whether it says how long packets are: behind the last one of all there is nothing.
    fn is_sure(self) -> bool {
        self.end - self.begin > self.packet_len
    }

    /// The length of packets, where it was that before.
    #[must_use]
    pub fn packet_len_after(self, before: usize) -> usize {
        if self.is_sure() { self.packet_len } else { before }
    }
}

/// The packets that a part of a file goes on with, which is at least [`RUN_LEN`] long or the last one. `packet_len` is what they were before.
#[must_use]
pub fn next_run(file: &[u8], packet_len: usize) -> Run {
    let is_there =
        |from: &usize| file[*from] == SYNC && file_packet_len(&file[*from..], packet_len).is_some();
    let none = Run { begin: file.len(), end: file.len(), packet_len };
    let Some(begin) = (0..file.len()).find(is_there) else { return none };
    let packet_len = file_packet_len(&file[begin..], packet_len).unwrap_or(packet_len);
    let together = file[begin..].chunks(packet_len).take(TOGETHER);
    let packets = together.take_while(|stride| stride[0] == SYNC && stride.len() >= PACKET_LEN).count();
    if packets == 0 {
        none
    } else {
        Run { begin, end: file.len().min(begin + packets * packet_len), packet_len }
    }
}

impl TsIndex {
    /// How long it takes, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.clocks.last().map_or(0, |last| last.at_us)
    }

    /// The length of its packets, with what is between them.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        self.packet_len
    }

    /// Where the run is with the clock reference that all times are counted from.
    #[must_use]
    pub fn clock_begins_at(&self) -> u64 {
        self.clocks.first().map_or(0, |first| first.offset)
    }

    /// When a byte comes.
    #[must_use]
    pub fn time_of(&self, offset: u64) -> u64 {
        let next = self.clocks.partition_point(|clock| clock.offset <= offset);
        let Some(after) = self.clocks.get(next) else { return self.duration_us() };
        let Some(before) = next.checked_sub(1).and_then(|place| self.clocks.get(place)) else { return 0 };
        let (bytes, passed) = (after.offset - before.offset, after.at_us - before.at_us);
        before.at_us + (u128::from(passed) * u128::from(offset - before.offset) / u128::from(bytes)) as u64
    }

    /// From where on it has to be read for what comes then, at the earliest.
    #[must_use]
    pub fn offset_at(&self, us: u64) -> u64 {
        let next = self.clocks.partition_point(|clock| clock.at_us <= us);
        next.checked_sub(1).and_then(|place| self.clocks.get(place)).map_or(0, |clock| clock.offset)
    }

    /// The newest run by then that a decoder can start with.
    #[must_use]
    pub fn start_by(&self, us: u64) -> Option<u64> {
        let next = self.starts.partition_point(|start| self.time_of(*start) <= us);
        self.starts.get(next.checked_sub(1)?).copied()
    }

    /// The first run from then on that a decoder can start with.
    #[must_use]
    pub fn start_after(&self, us: u64) -> Option<u64> {
        self.starts.get(self.starts.partition_point(|start| self.time_of(*start) < us)).copied()
    }

    /// Whether a decoder can start with the run there.
    #[must_use]
    pub fn is_start(&self, offset: u64) -> bool {
        self.starts.binary_search(&offset).is_ok()
    }

    /// As bytes, for a file of this size that was changed then.
    #[must_use]
    pub fn bytes(&self, of: Identity) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN + 16 * self.clocks.len() + 8 * self.starts.len() + 4);
        bytes.extend(MAGIC);
        bytes.extend(of.bytes.to_le_bytes());
        bytes.extend(of.changed_ns.to_le_bytes());
        for count in [self.packet_len, self.clocks.len(), self.starts.len()].map(|count| count as u64) {
            bytes.extend(count.to_le_bytes());
        }
        self.clocks
            .iter()
            .for_each(|clock| bytes.extend([clock.offset, clock.at_us].map(u64::to_le_bytes).concat()));
        self.starts.iter().for_each(|start| bytes.extend(start.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// Out of bytes.
    ///
    /// # Errors
    /// They are none, or of another file.
    pub fn read(bytes: &[u8], of: Identity) -> Result<Self, NoIndex> {
        Self::parse(bytes, of).filter(Self::is_in_order).ok_or(NoIndex::Foreign)
    }

    fn parse(bytes: &[u8], of: Identity) -> Option<Self> {
        let (bytes, check) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*check) {
            return None;
        }
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (changed, rest) = rest.split_first_chunk()?;
        let identity =
            Identity { bytes: u64::from_le_bytes(*length), changed_ns: i128::from_le_bytes(*changed) };
        if magic != MAGIC || identity != of {
            return None;
        }
        let numbers: Vec<u64> =
            rest.chunks_exact(8).map(|eight| eight.try_into().map_or(0, u64::from_le_bytes)).collect();
        let ([packet_len, clocks, starts], numbers) = numbers.split_first_chunk::<3>()?;
        let clocks = usize::try_from(*clocks).ok()?.checked_mul(2)?;
        let (clocks, starts_there) = numbers.split_at_checked(clocks)?;
        let clocks = clocks.chunks_exact(2).map(|pair| Clock { offset: pair[0], at_us: pair[1] }).collect();
        let is_whole = starts_there.len() as u64 == *starts;
        is_whole.then_some(Self {
            packet_len: usize::try_from(*packet_len).ok()?,
            clocks,
            starts: starts_there.to_vec(),
        })
    }

    fn is_in_order(&self) -> bool {
        let is_before = |pair: &[Clock]| pair[0].offset < pair[1].offset && pair[0].at_us <= pair[1].at_us;
        let are_clocks = self.clocks.len() > 1 && self.clocks.windows(2).all(is_before);
        are_clocks && self.starts.is_sorted() && (PACKET_LEN..=MOST_PACKET_LEN).contains(&self.packet_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet with a clock reference; of those that a decoder can start with.
    fn packet(ms: u64, is_start: bool) -> Vec<u8> {
        let base = ms * 90;
        let mut packet = vec![SYNC, 0x41, 0, 0x30, 7, if is_start { 0x50 } else { 0x10 }];
        packet.extend(((base >> 1) as u32).to_be_bytes());
        packet.extend([(base as u8) << 7 | 0x7e, 0, 0, 0, 1, 0xe0]);
        packet.resize(PACKET_LEN, 0xff);
        packet
    }

    fn marked(file: &[u8]) -> TsMarking {
        let mut marking = TsMarking::default();
        while marking.read(&file[marking.at() as usize..], true) {}
        marking
    }

    fn index(file: &[u8]) -> TsIndex {
        marked(file).index().expect("it has a clock")
    }

    #[test]
    fn packets_of_any_length_tell_when_they_come_and_where_a_decoder_starts() {
        for (before, behind) in [(0, 0), (4, 0), (0, 16)] {
            let stored = |place: u64| {
                [vec![1; before], packet(place * 10, place.is_multiple_of(70)), vec![2; behind]].concat()
            };
            let file: Vec<u8> = (0..140).flat_map(stored).collect();
            let (index, length) = (index(&file), (PACKET_LEN + before + behind) as u64);
            let first = before as u64;
            assert_eq!(index.packet_len() as u64, length);
            let times = [0, 7, 14, 20].map(|place| index.time_of(first + place * length));
            assert_eq!(times, [0, 70_000, 140_000, 200_000], "{length}");
            assert_eq!(index.start_by(699_999), Some(first));
            assert_eq!(index.start_by(700_000), Some(first + 70 * length));
            assert_eq!(index.start_after(1), Some(first + 70 * length));
            assert_eq!(index.start_after(700_001), None);
            assert_eq!(index.offset_at(75_000), first + 7 * length);
            // The last run has its clock at its beginning, and goes on as the one before did.
            let end = index.duration_us();
            assert!((1_380_000..=1_400_000).contains(&end), "{end}");
        }
    }

    #[test]
    fn a_clock_that_is_set_anew_goes_on() {
        let file: Vec<u8> =
            (0..70).chain(50_000_000..50_000_070).flat_map(|ms| packet(ms * 10, false)).collect();
        let index = index(&file);
        let steps: Vec<_> = index.clocks.windows(2).map(|pair| pair[1].at_us - pair[0].at_us).collect();
        assert_eq!(steps, [70_000; 20], "the seam is as long as its bytes take");
    }

    #[test]
    fn what_has_no_clock_has_no_index() {
        assert_eq!(marked(&[0; 5000]).index(), Err(NoIndex::NoClock));
        assert_eq!(marked(&packet(1, true)).index(), Err(NoIndex::NoClock));
    }

    #[test]
    fn what_was_kept_is_read_again_and_of_another_file_it_is_not() {
        let index = index(
            &(0..140u64).flat_map(|place| packet(place * 10, place.is_multiple_of(70))).collect::<Vec<_>>(),
        );
        let of = Identity { bytes: 140 * 188, changed_ns: -5 };
        let bytes = index.bytes(of);
        assert_eq!(TsIndex::read(&bytes, of), Ok(index));
        assert_eq!(TsIndex::read(&bytes, Identity { bytes: 7, ..of }), Err(NoIndex::Foreign));
        for cut in 0..bytes.len() {
            assert_eq!(TsIndex::read(&bytes[..cut], of), Err(NoIndex::Foreign));
        }
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_the_same(cut in 1usize..4000, count in 20u64..60) {
            let file: Vec<u8> = (0..count).flat_map(|place| packet(place * 10, place.is_multiple_of(7))).collect();
            let (mut marking, mut end) = (TsMarking::default(), 0);
            while end < file.len() {
                end = (end + cut).min(file.len());
                while marking.read(&file[marking.at() as usize..end], end == file.len()) {}
            }
            prop_assert_eq!(marking.index(), marked(&file).index());
        }

        #[test]
        fn any_bytes_end(file in proptest::collection::vec(prop_oneof![Just(SYNC), any::<u8>()], 0..4000)) {
            let marking = marked(&file);
            prop_assert_eq!(marking.at() as usize, file.len());
            if let Ok(index) = marking.index() {
                prop_assert!(index.is_in_order() && index.start_by(u64::MAX).is_none_or(|start| start < file.len() as u64));
            }
        }

        #[test]
        fn any_bytes_that_were_kept_are_an_index_in_order_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), sealed: bool) {
            let of = Identity { bytes: 1, changed_ns: 2 };
            if sealed {
                bytes.splice(..0, [&MAGIC[..], &1u64.to_le_bytes(), &2i128.to_le_bytes()].concat());
                bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            }
            if let Ok(index) = TsIndex::read(&bytes, of) {
                prop_assert!(index.is_in_order());
            }
        }
    }
}

//! A Run: packets that were kept, as they are read: side by side in memory, from where they are sent as they lie there.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::wire::recording::{Format, Record};
use crate::wire::rtp::{FIXED_HEADER_LEN, RtpHeader};

/// Some packets, one behind the other.
pub(in super::super) struct Run {
    packets: Vec<(Record, usize)>,
    bytes: Vec<u8>,
    /// Of a transport stream there are payloads, each behind room for a header.
    room: usize,
}

/// Memory that runs are read into, and others when nobody has the packets any more.
#[derive(Default)]
pub(in super::super) struct Memory(VecDeque<Arc<Vec<u8>>>);

/// What packets have of it.
struct Lent(Arc<Vec<u8>>);

/// Bytes of room before what is kept so.
pub(super) fn room(format: Format) -> usize {
    match format {
        Format::TransportStream => FIXED_HEADER_LEN,
        Format::RtpDump => 0,
    }
}

impl Run {
    /// One of packets whose media begins there in `bytes`, each behind its room.
    pub(super) fn of(packets: Vec<(Record, usize)>, bytes: Vec<u8>, format: Format) -> Self {
        Self { packets, bytes, room: room(format) }
    }

    /// One of packets that come one by one, so many at most. `None`: none comes.
    pub fn gather(
        mut next: impl FnMut() -> io::Result<Option<(Record, Vec<u8>)>>,
        most: usize,
        format: Format,
        memory: &mut Memory,
    ) -> io::Result<Option<Self>> {
        let mut run = Self::of(Vec::new(), memory.take(0), format);
        while run.packets.len() < most
            && let Some((record, media)) = next()?
        {
            run.push(record, &media);
        }
        Ok(Some(run).filter(|run| !run.packets.is_empty()))
    }

    fn push(&mut self, record: Record, media: &[u8]) {
        self.bytes.resize(self.bytes.len() + self.room, 0);
        self.packets.push((record, self.bytes.len()));
        self.bytes.extend_from_slice(media);
    }

    /// The packets: those of the stream, or those of what the source said of it.
    pub fn packets(&self, are_reports: bool) -> impl Iterator<Item = (&Record, &[u8])> {
        let packets = self.packets.iter().filter(move |(record, _)| record.is_report == are_reports);
        packets.map(|(record, at)| (record, self.bytes.get(media(record, *at)).unwrap_or_default()))
    }

    /// Gives each packet of the stream the numbers that it is to have, and lets go of all.
    pub fn send(
        mut self,
        mut number: impl FnMut(&Record, &[u8]) -> RtpHeader,
        memory: &mut Memory,
    ) -> impl Iterator<Item = (RtpHeader, Bytes)> {
        let mut places = Vec::with_capacity(self.packets.len());
        for (record, at) in self.packets.iter().filter(|(record, _)| !record.is_report) {
            let place = at - self.room..media(record, *at).end;
            let header = number(record, self.bytes.get(media(record, *at)).unwrap_or_default());
            let Some(packet) = self.bytes.get_mut(place.clone()) else { continue };
            let bytes = if self.room > 0 { Some(header.bytes()) } else { header.rewritten(packet) };
            if let (Some(bytes), Some(head)) = (bytes, packet.first_chunk_mut()) {
                *head = bytes;
                places.push((header, place));
            }
        }
        let bytes = memory.lend(self.bytes);
        places.into_iter().map(move |(header, place)| (header, bytes.slice(place)))
    }

    /// The media of the packets of the stream, each changed as is to be.
    pub fn into_media(
        mut self,
        mut change: impl FnMut(&mut [u8]),
        memory: &mut Memory,
    ) -> impl Iterator<Item = (Record, Bytes)> {
        let packets = self.packets.into_iter().filter(|(record, _)| !record.is_report);
        let places: Vec<_> = packets.map(|(record, at)| (record, media(&record, at))).collect();
        for (_, place) in &places {
            self.bytes.get_mut(place.clone()).into_iter().for_each(&mut change);
        }
        let bytes = memory.lend(self.bytes);
        places.into_iter().map(move |(record, place)| (record, bytes.slice(place)))
    }
}

impl Memory {
    /// So many bytes of it at least, with whatever is in them, and no more than twice as many.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        let mut fitting = None;
        while self.0.front().is_some_and(|oldest| Arc::strong_count(oldest) == 1) {
            let Some(free) = self.0.pop_front() else { break };
            let free = Arc::into_inner(free).filter(|bytes| (length..=2 * length).contains(&bytes.len()));
            fitting = free.or(fitting);
        }
        // Somewhat more than is wanted, as the next time it may be that.
        fitting.unwrap_or_else(|| vec![0; length + length / 8])
    }

    fn lend(&mut self, bytes: Vec<u8>) -> Bytes {
        let lent = Arc::new(bytes);
        self.0.push_back(lent.clone());
        Bytes::from_owner(Lent(lent))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn media(record: &Record, at: usize) -> Range<usize> {
    at..at + usize::from(record.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u16, is_report: bool) -> Record {
        Record {
            arrived_us: 1,
            pcr: None,
            offset: 0,
            length: 20,
            sequence,
            timestamp: 2,
            ssrc: 3,
            payload_type: 33,
            marker: false,
            is_start: false,
            has_gap: false,
            is_report,
        }
    }

    fn header(sequence: u16) -> RtpHeader {
        let (timestamp, ssrc, payload_type) = (7, 8, 33);
        RtpHeader { sequence, timestamp, ssrc, payload_type, marker: false, header_len: FIXED_HEADER_LEN }
    }

    #[test]
    fn packets_are_sent_with_the_numbers_that_they_are_to_have_and_reports_are_not() {
        let mut memory = Memory::default();
        for format in [Format::TransportStream, Format::RtpDump] {
            let mut run = Run::of(Vec::new(), Vec::new(), format);
            let media = match format {
                Format::TransportStream => vec![0x47; 20],
                Format::RtpDump => header(1).packet(&[0x47; 8]),
            };
            [false, true, false].into_iter().zip(1..).for_each(|(is_report, sequence)| {
                run.push(record(sequence, is_report), &media);
            });
            assert_eq!((run.packets(false).count(), run.packets(true).count()), (2, 1));
            let number = |record: &Record, given: &[u8]| {
                assert_eq!(given, media);
                header(100 + record.sequence)
            };
            let sent: Vec<_> = run.send(number, &mut memory).map(|(_, packet)| packet).collect();
            let payload = if format == Format::RtpDump { 8 } else { 20 };
            let expected = [101, 103].map(|sequence| header(sequence).packet(&vec![0x47; payload]));
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn a_packet_that_is_shorter_than_a_header_is_not_sent() {
        let mut run = Run::of(Vec::new(), Vec::new(), Format::RtpDump);
        run.push(Record { length: 4, ..record(1, false) }, &[0x80; 4]);
        run.push(record(2, false), &header(2).packet(&[5; 8]));
        let sent: Vec<_> = run.send(|record, _| header(record.sequence), &mut Memory::default()).collect();
        assert_eq!(sent.iter().map(|(header, _)| header.sequence).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn memory_is_used_again_once_nobody_has_what_is_in_it() {
        let mut memory = Memory::default();
        let first = memory.take(4000);
        let at = first.as_ptr();
        let lent = memory.lend(first);
        let slice = lent.slice(10..20);
        drop(lent);
        let second = memory.take(4000);
        assert_ne!(second.as_ptr(), at, "a packet of it is still there");
        drop((slice, second));
        let again = memory.take(3000);
        assert_eq!(again.as_ptr(), at);
        drop(memory.lend(again));
        assert!(memory.take(100).len() < 200, "what is much larger than is wanted goes");
        assert!(memory.0.is_empty());
    }
}

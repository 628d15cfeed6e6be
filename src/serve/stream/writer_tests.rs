//! Frames stay whole and in order however the socket takes them.

use super::*;
use crate::relay::rig::{ROOMY, Record, flow, packet};
use crate::relay::{self, Carriage, Flow, Handover, Place, Sent};
use std::sync::Arc;

/// Takes at most `per_write` bytes a write; after `room` bytes it is full.
struct Socket {
    taken: Vec<u8>,
    per_write: usize,
    room: usize,
}

impl Socket {
    fn new(per_write: usize, room: usize) -> Self {
        Self { taken: Vec::new(), per_write, room }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.per_write.min(self.room);
        let before = self.taken.len();
        self.taken.extend(slices.iter().flat_map(|slice| slice.iter()).take(count));
        let written = self.taken.len() - before;
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client makes of the bytes.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Reply(u8),
    Packet { channel: u8, number: u8, len: usize },
}

use Seen::{Packet, Reply};

fn read(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let [first, rest @ ..] = bytes {
        if *first != b'$' {
            assert!(rest.starts_with(b"eply"), "a frame is split: {bytes:?}");
            seen.push(Reply(*first));
            bytes = &rest[4..];
            continue;
        }
        let len = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
        let payload = &rest[3..3 + len];
        assert!(payload.iter().all(|byte| *byte == payload[0]), "a packet is split: {payload:?}");
        seen.push(Packet { channel: rest[0], number: payload[0], len });
        bytes = &rest[3 + len..];
    }
    seen
}

fn reply(number: u8) -> Post {
    Post::Bytes(Bytes::from([&[number][..], b"eply"].concat()))
}

fn open(channel: u8, flow: &Arc<Flow>) -> Post {
    Post::Open { framing: Framing::Channel(channel), cursor: flow.cursor(Carriage::Tcp, 0) }
}

/// Two replies around the opening of both flows of a track, which hold three packets and one.
fn a_play(posted: &Posted) -> (Arc<Flow>, Arc<Flow>) {
    let (rtp, rtcp) = (flow(ROOMY), flow(ROOMY));
    rtp.push([packet(1, 7), packet(2, 9), packet(3, 1)]);
    rtcp.push([packet(50, 4)]);
    for post in [reply(b'A'), open(0, &rtp), open(1, &rtcp), reply(b'B')] {
        posted.add(post, usize::MAX);
    }
    (rtp, rtcp)
}

fn as_a_client_sees_it() -> Vec<Seen> {
    let rtp = [(1, 7), (2, 9), (3, 1)].map(|(number, len)| Packet { channel: 0, number, len });
    let rtcp = Packet { channel: 1, number: 50, len: 4 };
    [Reply(b'A'), Reply(b'B')].into_iter().chain(rtp).chain([rtcp]).collect()
}

/// The streams take turns, so the order between channels is free; within one it is not.
fn by_channel(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_by_key(|seen| matches!(seen, Packet { channel: 1, .. }));
    seen
}

#[test]
fn a_socket_that_is_full_after_any_byte_splits_nothing() {
    let whole = 10 + 3 * 4 + 17 + 8;
    for room in 0..=whole {
        let posted = Posted::default();
        let _flows = a_play(&posted);
        let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, room));
        let first = writer.write(&mut socket, &posted, None);
        assert_eq!(first.is_err(), room < whole, "room for {room}");
        socket.room = usize::MAX;
        assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllDue);
        assert_eq!(socket.taken.len(), whole);
        assert_eq!(by_channel(read(&socket.taken)), as_a_client_sees_it(), "room for {room}");
    }
}

/// The connection is cut off in the midst of a packet, or between two: what came whole was sent, wherever it was.
#[test]
fn of_a_connection_that_is_cut_only_whole_packets_count_as_sent() {
    for (room, framed_for_all) in (0..3 * 14).flat_map(|room| [(room, false), (room, true)]) {
        let (posted, rtp, books) = (Posted::default(), flow(ROOMY), Arc::<Record>::default());
        rtp.push((0..3).map(|number| packet(number, 10)));
        let cursor = rtp.cursor(Carriage::Tcp, 0).told_to(books.clone());
        posted.add(Post::Open { framing: Framing::Channel(0), cursor }, usize::MAX);
        let batch = Batch::new(rtp.ring(), 0, 3);
        let (mut writer, mut socket) = (Writer::default(), Socket::new(9, room));
        writer.write(&mut socket, &posted, framed_for_all.then_some(&batch)).expect_err("it is full");
        drop(writer);
        let (whole, is_begun) = (room as u64 / 14, room % 14 > 0);
        let sent = Sent { packets: whole, bytes: 10 * whole, missed: u64::from(is_begun) };
        assert_eq!(books.settled(), [sent], "room for {room}");
    }
}

#[test]
fn a_batch_framed_for_all_is_split_as_little() {
    let whole = 10 + 3 * 4 + 17 + 8;
    for room in 0..=whole {
        let posted = Posted::default();
        let (rtp, _rtcp) = a_play(&posted);
        let batch = Batch::new(rtp.ring(), 0, 3);
        let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, room));
        let first = writer.write(&mut socket, &posted, Some(&batch));
        assert_eq!(first.is_err(), room < whole, "room for {room}");
        socket.room = usize::MAX;
        writer.write(&mut socket, &posted, None).expect("room");
        assert_eq!(by_channel(read(&socket.taken)), as_a_client_sees_it(), "room for {room}");
        assert_eq!(rtp.sent(Carriage::Tcp).packets, 3, "each is counted once");
        assert_eq!(rtp.sent(Carriage::Tcp).bytes, 17);
    }
}

#[test]
fn a_reader_that_is_stuck_keeps_the_rest_of_its_packet_and_no_more() {
    let posted = Posted::default();
    let rtp = flow(ROOMY);
    rtp.push((0..100).map(|number| packet(number, 1000)));
    posted.add(open(0, &rtp), usize::MAX);
    let batch = Batch::new(rtp.ring(), 0, 100);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, 1500));
    assert!(writer.write(&mut socket, &posted, Some(&batch)).is_err());
    let image = batch
        .image(&rtp.cursor(Carriage::Tcp, 0), Framing::Channel(0), |_, _| panic!("framed again"))
        .expect("framed for all");
    assert!(image.bytes.is_unique(), "but for the batch itself, nobody has a part of it");
    drop((batch, image));
    let held: usize = writer.begun.iter().map(Bytes::len).sum();
    assert_eq!(held, 2 * 1004 - 1500);
    assert!(writer.begun.iter().all(Bytes::is_unique));

    let (mut alone, mut socket) = (Writer::default(), Socket::new(usize::MAX, 1500));
    posted.add(open(0, &rtp), usize::MAX);
    assert!(alone.write(&mut socket, &posted, None).is_err());
    assert!(alone.begun.iter().all(Bytes::is_unique), "nor of the ring");
}

#[test]
fn a_reply_counts_until_it_is_out() {
    let posted = Posted::default();
    posted.add(reply(b'A'), usize::MAX);
    let waiting = posted.bytes();
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, 2));
    assert!(writer.write(&mut socket, &posted, None).is_err());
    assert_eq!(posted.bytes(), waiting, "it was begun");
    assert!(!posted.add(reply(b'B'), waiting - 1));
    socket.room = usize::MAX;
    writer.write(&mut socket, &posted, None).expect("room");
    assert_eq!(posted.bytes(), 0);
}

#[test]
fn a_reader_that_stands_elsewhere_reads_up_to_the_batchs_end() {
    let posted = Posted::default();
    let (rtp, _rtcp) = a_play(&posted);
    let batch = Batch::new(rtp.ring(), 1, 2);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, usize::MAX));
    writer.write(&mut socket, &posted, Some(&batch)).expect("room");
    assert_eq!(rtp.sent(Carriage::Tcp).packets, 2, "the third is for the next run");
}

/// The socket takes a part of a batch and has room again at once, as when the client reads meanwhile: the
/// rest of what was begun goes before anything else.
#[test]
fn a_socket_that_takes_little_at_a_time_splits_nothing() {
    for per_write in 1..50 {
        let posted = Posted::default();
        let _flows = a_play(&posted);
        let (mut writer, mut socket) = (Writer::default(), Socket::new(per_write, usize::MAX));
        assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllDue);
        assert_eq!(by_channel(read(&socket.taken)), as_a_client_sees_it(), "{per_write} bytes at a time");
    }
}

/// Three packets of ten bytes on channel 0, written to a socket that had room for so many bytes.
fn blocked_within(room: usize) -> (Posted, Arc<Flow>, Writer, Socket) {
    let (posted, rtp, writer, socket, _) = blocked_at(room);
    (posted, rtp, writer, socket)
}

/// The same, and where that stands.
fn blocked_at(room: usize) -> (Posted, Arc<Flow>, Writer, Socket, Arc<Standing>) {
    let (posted, rtp) = (Posted::default(), flow(ROOMY));
    rtp.push((1..=3).map(|number| packet(number, 10)));
    let place = open_at(&posted, 0, &rtp, 0.into());
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, room));
    assert!(writer.write(&mut socket, &posted, None).is_err());
    (posted, rtp, writer, socket, place)
}

fn open_at(posted: &Posted, channel: u8, flow: &Arc<Flow>, from: Place) -> Arc<Standing> {
    let cursor = flow.cursor(Carriage::Tcp, from);
    let place = cursor.place();
    posted.add(Post::Open { framing: Framing::Channel(channel), cursor }, usize::MAX);
    place
}

/// Has what stands there end, and what begins after `heir` go on.
fn close_for(posted: &Posted, place: &Arc<Standing>, heir: &Arc<Handover>) {
    place.bequeath(heir.clone());
    posted.add(Post::Close(place.clone()), usize::MAX);
}

#[test]
fn a_reply_waits_for_the_packet_that_was_begun_and_for_no_other() {
    let (posted, _rtp, mut writer, mut socket) = blocked_within(6);
    posted.add(reply(b'P'), usize::MAX);
    socket.room = usize::MAX;
    writer.write(&mut socket, &posted, None).expect("room");
    let packet = |number| Packet { channel: 0, number, len: 10 };
    assert_eq!(read(&socket.taken), [packet(1), Reply(b'P'), packet(2), packet(3)]);
}

#[test]
fn a_closed_channel_ends_with_a_whole_packet() {
    let (posted, rtp, mut writer, mut socket, place) = blocked_at(20);
    posted.add(Post::Close(place), usize::MAX);
    posted.add(reply(b'T'), usize::MAX);
    socket.room = usize::MAX;
    writer.write(&mut socket, &posted, None).expect("room");
    let packet = |number| Packet { channel: 0, number, len: 10 };
    assert_eq!(read(&socket.taken), [packet(1), packet(2), Reply(b'T')]);
    assert_eq!(rtp.sent(Carriage::Tcp).packets, 2, "what was given back is not counted as sent");
}

#[test]
fn what_changes_over_within_a_connection_goes_on_by_other_channels_with_the_next_packet() {
    let (posted, rtp, mut writer, mut socket, mut place) = blocked_at(20);
    let (first, second, third) = (Handover::new(), Handover::new(), Handover::new());
    for (heir, opened) in [(&first, 2), (&second, 4), (&third, 6)] {
        close_for(&posted, &place, heir);
        place = open_at(&posted, opened, &rtp, Place::After(heir.clone()));
    }
    socket.room = usize::MAX;
    writer.write(&mut socket, &posted, None).expect("room");
    let packet = |channel, number| Packet { channel, number, len: 10 };
    assert_eq!(read(&socket.taken), [packet(0, 1), packet(0, 2), packet(6, 3)]);
    assert_eq!(third.place().map(|place| place.number), Some(2));
}

#[test]
fn two_streams_change_channels_with_each_other() {
    let (posted, rtp, mut writer, mut socket, rtp_place) = blocked_at(20);
    let rtcp = flow(ROOMY);
    let rtcp_place = open_at(&posted, 1, &rtcp, 0.into());
    let (rtp_on, rtcp_on) = (Handover::new(), Handover::new());
    // As a way begins before the one that it follows ends.
    let _rtp = open_at(&posted, 1, &rtp, Place::After(rtp_on.clone()));
    let _rtcp = open_at(&posted, 0, &rtcp, Place::After(rtcp_on.clone()));
    close_for(&posted, &rtp_place, &rtp_on);
    close_for(&posted, &rtcp_place, &rtcp_on);
    socket.room = usize::MAX;
    writer.write(&mut socket, &posted, None).expect("room");
    rtcp.push([packet(9, 10)]);
    writer.write(&mut socket, &posted, None).expect("room");
    let packet = |channel, number| Packet { channel, number, len: 10 };
    assert_eq!(read(&socket.taken), [packet(0, 1), packet(0, 2), packet(1, 3), packet(0, 9)]);
}

#[test]
fn who_goes_on_elsewhere_is_told_where_though_the_connection_dies() {
    for dies_first in [false, true] {
        let (posted, _rtp, writer, _, place) = blocked_at(20);
        let (mut writer, heir) = (Some(writer), Handover::new());
        if dies_first {
            drop(writer.take());
        }
        close_for(&posted, &place, &heir);
        posted.clear();
        drop(writer);
        assert_eq!(heir.place().map(|place| place.number), Some(2), "two were begun: {dies_first}");
    }
}

#[test]
fn a_channel_that_is_not_told_yet_where_to_begin_holds_up_nothing() {
    let posted = Posted::default();
    let (rtp, other) = (flow(ROOMY), flow(ROOMY));
    rtp.push((1..=3).map(|number| packet(number, 10)));
    other.push([packet(9, 10)]);
    let handover = Handover::new();
    let cursor = rtp.cursor(Carriage::Tcp, Place::After(handover.clone()));
    posted.add(Post::Open { framing: Framing::Channel(0), cursor }, usize::MAX);
    posted.add(open(2, &other), usize::MAX);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, usize::MAX));
    assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllDue);
    handover.tell(1);
    assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllDue);
    let packet = |channel, number| Packet { channel, number, len: 10 };
    assert_eq!(read(&socket.taken), [packet(2, 9), packet(0, 2), packet(0, 3)]);
}

#[test]
fn nothing_follows_a_hangup() {
    let posted = Posted::default();
    let _flows = a_play(&posted);
    posted.add(Post::Hangup, usize::MAX);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, usize::MAX));
    assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllThereIs);
    assert_eq!(read(&socket.taken), [Reply(b'A'), Reply(b'B')], "streams end where they are");
}

#[test]
fn a_broken_socket_gives_back_what_it_did_not_take() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let posted = Posted::default();
    let rtp = flow(ROOMY);
    rtp.push([packet(1, 10)]);
    posted.add(open(0, &rtp), usize::MAX);
    let error = Writer::default().write(&mut Broken, &posted, None).expect_err("the pipe is broken");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(rtp.sent(Carriage::Tcp).packets, 0);
}

#[test]
fn a_busy_stream_does_not_starve_the_other() {
    let posted = Posted::default();
    let (video, audio) = (flow(ROOMY), flow(ROOMY));
    video.push((0..1000).map(|number| packet(number, 10)));
    audio.push([packet(50, 10)]);
    posted.add(open(0, &video), usize::MAX);
    posted.add(open(2, &audio), usize::MAX);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, 0));
    for _ in 0..2 {
        socket.room = 14 * PACKETS_PER_WRITE; // a batch of video fills it
        assert!(writer.write(&mut socket, &posted, None).is_err());
    }
    assert!(read(&socket.taken).contains(&Packet { channel: 2, number: 50, len: 10 }));
}

/// Packets of RTP, what is left of them behind each other, and how many have nothing that is.
fn a_transport_stream() -> (Vec<relay::Packet>, Vec<u8>, u64) {
    let ts = |number: u8, length: usize| [&[0x47][..], &vec![number; length - 1]].concat();
    let payloads =
        [ts(1, 188).repeat(2), vec![], ts(2, 204).repeat(3), vec![7; 100], ts(3, 188), vec![0; 188]];
    let left: Vec<_> = [ts(1, 188).repeat(2), ts(2, 188).repeat(3), ts(3, 188)].concat();
    let packet = |payload: &Vec<u8>| {
        let data = [&[0x80, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], payload].concat();
        relay::Packet { data: data.into(), sequence: 1, timestamp: 0, arrived_at: crate::event::clock::now() }
    };
    (payloads.iter().map(packet).collect(), left, 3)
}

#[test]
fn a_transport_stream_is_split_nowhere_but_where_the_socket_is_full() {
    let (packets, expected, left_out) = a_transport_stream();
    for (room, framed_for_all) in (0..=expected.len()).flat_map(|room| [(room, false), (room, true)]) {
        let (posted, rtp, books) = (Posted::default(), flow(ROOMY), Arc::<Record>::default());
        rtp.push(packets.clone());
        let cursor = rtp.cursor(Carriage::Http, 0).told_to(books.clone());
        posted.add(Post::Open { framing: Framing::TransportStream, cursor }, usize::MAX);
        let batch = Batch::new(rtp.ring(), 0, packets.len() as u64);
        let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, room));
        let first = writer.write(&mut socket, &posted, framed_for_all.then_some(&batch));
        assert_eq!(first.is_err(), room < expected.len(), "room for {room}");
        socket.room = usize::MAX;
        assert_eq!(writer.write(&mut socket, &posted, None).expect("room"), Written::AllDue);
        assert!(socket.taken == expected, "room for {room}");
        let sent = rtp.sent(Carriage::Http);
        assert_eq!((sent.packets, sent.bytes, sent.left_out), (3, expected.len() as u64, left_out));
        drop(writer);
        assert_eq!(books.settled(), [Sent { packets: 3, bytes: expected.len() as u64, missed: 0 }]);
    }
}

#[test]
fn where_nothing_goes_out_nothing_is_written() {
    let (posted, rtp) = (Posted::default(), flow(ROOMY));
    rtp.push((0..3).map(|number| packet(number, 10)));
    let cursor = rtp.cursor(Carriage::Http, 0);
    posted.add(Post::Open { framing: Framing::TransportStream, cursor }, usize::MAX);
    let batch = Batch::new(rtp.ring(), 0, 3);
    let (mut writer, mut socket) = (Writer::default(), Socket::new(usize::MAX, 0));
    for batch in [Some(&batch), None] {
        assert_eq!(writer.write(&mut socket, &posted, batch).expect("it is not asked"), Written::AllDue);
    }
    assert_eq!(rtp.sent(Carriage::Http).left_out, 3);
}

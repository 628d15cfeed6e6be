//! Where a channel of pictures and sound is entered, and how long its rings keep that.

use super::*;
use crate::event::clock;
use crate::relay::rig::{ROOMY, by_hand, outward};
use crate::relay::{Channel, Coalesce, Keeping, OfferRepair, RingLimits};
use crate::wire::{rtp, sdp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
/// An H.264 picture that a decoder can start with, without its parameter sets, and one that it can not.
const IDR: &[u8] = &[0x65, 0x88];
const PREDICTED: &[u8] = &[0x41, 0x9a];

/// A channel of pictures and sound.
fn channel(age: Duration, now: Instant) -> Arc<Channel> {
    let text = b"v=0\r\ns=a\r\nc=IN IP4 239.7.7.7\r\nt=0 0\r\nm=audio 5006 RTP/AVP 10\r\n\
        m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
    let limits = RingLimits { age, ..ROOMY };
    let keeping = Keeping {
        silent_after: 2000 * MS,
        limits,
        coalesce: Coalesce::Auto,
        enter_at: EnterAt::default(),
        offer_repair: OfferRepair::Known,
    };
    let presentation = sdp::parse(text).expect("a description");
    Channel::new(&outward("news"), presentation, keeping, Arc::default(), &by_hand(), now)
}

/// The packet of a track comes; its number is its timestamp too, but for those of one picture.
fn comes(track: &Track, (number, timestamp): (u8, u8), payload: &[u8], at: Instant) {
    let kind = if track.number == 1 { 10 } else { 96 };
    let packet = [&[0x80, kind, 0, number, 0, 0, 0, timestamp, 0, 0, 0, kind], payload].concat();
    let from = SocketAddr::from(([192, 0, 2, 1], 4000));
    assert!(track.receive(&rtp::check(&packet).expect("RTP"), &packet, from, at));
}

/// Of each track the sequence number and timestamp of the first packet, where that is, and whether it is past.
type Entered = Vec<(Option<(u16, u32)>, u64, bool)>;

fn entered(channel: &Channel, now: Instant) -> Entered {
    let tracks: Vec<_> = channel.tracks.iter().map(|track| &**track).collect();
    let entries = channel.enter_at.entries(&tracks, now);
    let told = |start: RingStart| (start.sequence, start.timestamp);
    entries.iter().map(|e| (e.start.map(told), e.spot.number, e.spot.burst.is_some())).collect()
}

#[test]
fn pictures_are_entered_at_the_newest_start_and_sound_at_its_moment() {
    let now = clock::now() - 4000 * MS;
    let channel = channel(500 * MS, now);
    let [sound, pictures] = &channel.tracks[..] else { panic!("two tracks") };
    for n in 0..100_u8 {
        let at = now + 20 * MS * u32::from(n);
        comes(sound, (n, n), b"sound", at);
        match n {
            9 => comes(pictures, (n, n), &[0x67, 1], at),
            10 | 11 => comes(pictures, (n, 10), IDR, at),
            _ => comes(pictures, (n, n), PREDICTED, at),
        }
    }
    let at = now + 2000 * MS;
    // What has the parameter sets goes before, numbered one less.
    assert_eq!(entered(&channel, at), [(Some((10, 10)), 10, true), (Some((9, 10)), 10, true)]);
    let tracks: Vec<_> = channel.tracks.iter().map(|track| &**track).collect();
    let entries = channel.enter_at.entries(&tracks, at);
    let goes_before = entries[1].spot.prologue.as_ref().expect("the parameter sets");
    assert_eq!(goes_before[..], [0x80, 96, 0, 9, 0, 0, 0, 10, 0, 0, 0, 96, 0x67, 1]);
    let live = EnterAt::Live.entries(&tracks, at);
    assert!(live.iter().all(|entry| entry.spot.number == 99 && entry.spot.burst.is_none()));
}

#[test]
fn what_was_entered_stays_there_until_it_is_level_though_newer_starts_come() {
    let now = clock::now() - 60_000 * MS;
    let channel = channel(500 * MS, now);
    let pictures = &channel.tracks[1];
    let at = |n: u8| now + 100 * MS * u32::from(n);
    comes(pictures, (0, 0), IDR, at(0));
    (1..40).for_each(|n| comes(pictures, (n, n), PREDICTED, at(n)));
    let entries = channel.enter_at.entries(&[pictures], at(39));
    let go_on = |from: u8, to: u8| {
        for n in from..to {
            comes(pictures, (n, n), if n % 10 == 0 { IDR } else { PREDICTED }, at(n));
        }
        pictures.rtp.ring().read_past(0, u64::MAX, 1, &mut Vec::new())
    };
    assert_eq!(go_on(40, 80), 0);
    entries[0].spot.burst.as_ref().expect("it is behind").reach(50);
    assert_eq!(go_on(80, 90), 50);
    drop(entries);
    assert_eq!(go_on(90, 100), 90, "nobody is there");
}

#[test]
fn where_there_is_no_start_or_the_source_is_silent_one_begins_with_what_comes() {
    let now = clock::now() - 4000 * MS;
    let channel = channel(500 * MS, now);
    let [sound, pictures] = &channel.tracks[..] else { panic!("two tracks") };
    assert_eq!(entered(&channel, now), [(None, 0, false), (None, 0, false)]);
    for n in 0..3 {
        comes(sound, (n, n), b"sound", now);
        comes(pictures, (n, n), PREDICTED, now);
    }
    assert_eq!(entered(&channel, now), [(Some((2, 2)), 2, false); 2]);
    comes(pictures, (3, 3), IDR, now);
    assert_eq!(entered(&channel, now + 2000 * MS)[1].1, 3, "it may go on in a moment");
    assert_eq!(entered(&channel, now + 3100 * MS), [(None, 3, false), (None, 4, false)]);
}

#[test]
fn pictures_that_never_say_where_a_decoder_can_start_are_entered_by_time() {
    let now = clock::now() - 40_000 * MS;
    let channel = channel(1500 * MS, now);
    let [sound, pictures] = &channel.tracks[..] else { panic!("two tracks") };
    let at = |n: u8| now + 100 * MS * u32::from(n);
    let mut begun = Vec::new();
    for n in 0..=101 {
        comes(sound, (n, n), b"sound", at(n));
        comes(pictures, (n, n), PREDICTED, at(n));
        begun.push(entered(&channel, at(n)));
    }
    assert_eq!(begun[99], [(Some((99, 99)), 99, false); 2], "there may be one");
    assert_eq!(begun[101], [(Some((86, 86)), 86, true); 2], "of both what came 1.5 s ago: no more is fresh");
    let tracks: Vec<_> = channel.tracks.iter().map(|track| &**track).collect();
    let began = |now| channel.enter_at.entries(&tracks, now).iter().map(|entry| entry.by).collect::<Vec<_>>();
    assert_eq!(began(at(101)), [Began::Time; 2]);
    comes(pictures, (102, 102), IDR, at(102));
    comes(sound, (102, 102), b"sound", at(102));
    assert_eq!(began(at(102)), [Began::Picture; 2]);
}

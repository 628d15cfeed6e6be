//! Who may have a preview, where it begins and how it goes on, by packets that the test sends.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::event::clock;
use crate::relay::{Catalogue, Channel, Demand, Keeping, RingLimits, rig};
use crate::wire::{rtp, sdp};

use super::{NoPreview, Preview, Previews};

const H264: &str = "RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=Z2QAC6zZQoR+XARAAAADAEAAAAyDxQplgA==,aOvjyyLA";
const JPEG: &str = "RTP/AVP 26";
const SENDER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// A channel of one track of video, of which so many bytes are kept.
fn channel(video: &str, bytes: usize, demand: Arc<Demand>) -> Arc<Channel> {
    let head = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 239.77.62.1\r\nt=0 0\r\n";
    let text = format!("{head}m=video 5004 {video}\r\n");
    let presentation = sdp::parse(text.as_bytes()).expect("a description");
    let limits = RingLimits { age: Duration::from_secs(3600), bytes };
    let keeping = Keeping { limits, ..rig::FORGETS_NOTHING };
    Channel::new(&rig::outward("news"), presentation, keeping, demand, &rig::by_hand(), clock::now())
}

/// Sends pictures of so many bytes, by their numbers; a decoder can start with each tenth.
fn send(channel: &Channel, numbers: Range<u16>, length: usize) {
    for number in numbers {
        let mut packet = vec![0x80, 0xe0];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 3600).to_be_bytes());
        packet.extend([0, 0, 0, 7, if number % 10 == 0 { 0x65 } else { 0x41 }, 0x9a]);
        packet.resize(packet.len() + length, 1);
        let header = rtp::check(&packet).expect("RTP");
        channel.tracks[0].receive(&header, &packet, SENDER, clock::now());
    }
}

fn previews(channel: &Arc<Channel>, most: usize) -> Previews {
    Previews::new(Arc::new(Catalogue::new([channel.clone()])), most)
}

fn run<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(story)
}

async fn piece(preview: &mut Preview) -> Option<Bytes> {
    let next = poll_fn(|context| preview.poll_next(context));
    tokio::time::timeout(Duration::from_secs(5), next).await.expect("it comes")
}

/// How many samples the fragments of a piece have, and whether it begins anew.
fn samples(piece: &[u8]) -> (u32, bool) {
    let at = |name: &'static [u8]| (0..piece.len()).filter(move |place| piece[*place..].starts_with(name));
    let count = |place: usize| u32::from_be_bytes(piece[place + 8..place + 12].try_into().expect("four"));
    (at(b"trun").map(count).sum(), at(b"moov").count() > 0)
}

#[test]
fn it_begins_at_the_newest_start_and_goes_on_as_packets_come() {
    run(async {
        let channel = channel(H264, usize::MAX, Arc::default());
        send(&channel, 0..25, 1000);
        let previews = previews(&channel, 2);
        let mut preview = previews.open("news").await.expect("it is shown");
        assert_eq!(preview.media_type(), "video/mp4; codecs=\"avc1.64000b\"");
        let first = piece(&mut preview).await.expect("a piece");
        assert_eq!(samples(&first), (4, true), "20 to 23, and 24 once the next has come");
        send(&channel, 25..27, 1000);
        let next = piece(&mut preview).await.expect("a piece");
        assert_eq!(samples(&next), (2, false));
        assert_eq!((previews.began(), previews.running()), (1, 1));
    });
}

#[test]
fn so_many_run_at_a_time_and_a_channel_is_wanted_meanwhile() {
    run(async {
        let demand = Arc::new(Demand::default());
        demand.be_needed(Duration::ZERO);
        let channel = channel(H264, usize::MAX, demand.clone());
        send(&channel, 0..5, 10);
        let previews = previews(&channel, 1);
        let preview = previews.open("news").await.expect("it is shown");
        assert!(demand.is_claimed());
        assert_eq!(previews.open("news").await.err(), Some(NoPreview::TooMany(1)));
        assert_eq!(previews.open("none").await.err(), Some(NoPreview::NoChannel));
        drop(preview);
        assert!(!demand.is_claimed() && previews.running() == 0);
        assert!(previews.open("news").await.is_ok(), "there is room again");
        previews.allow(0);
        assert_eq!(previews.open("news").await.err(), Some(NoPreview::Off));
        let refused: Vec<_> = previews.refused().filter(|(_, count)| *count > 0).collect();
        assert_eq!(refused, [("channel", 1), ("limit", 2)]);
    });
}

#[test]
fn what_is_not_played_is_refused_and_takes_no_place() {
    run(async {
        let previews = previews(&channel(JPEG, usize::MAX, Arc::default()), 1);
        let refused = previews.open("news").await.err().expect("JPEG");
        assert_eq!((refused.status(), previews.running()), (415, 0));
        assert!(
            refused.to_string().starts_with("it can not be shown: its picture is in JPEG, "),
            "{refused}"
        );
    });
}

#[test]
fn who_does_not_ask_in_time_goes_on_at_a_start() {
    run(async {
        let channel = channel(H264, 20_000, Arc::default());
        send(&channel, 0..5, 1000);
        let previews = previews(&channel, 1);
        let mut preview = previews.open("news").await.expect("it is shown");
        piece(&mut preview).await.expect("a piece");
        send(&channel, 5..205, 1000);
        let next = piece(&mut preview).await.expect("a piece");
        // The one that was there last, and what is left in the ring from a start on.
        assert!([5, 15].contains(&samples(&next).0), "{:?}", samples(&next));
    });
}

#[test]
fn it_ends_with_its_channel() {
    run(async {
        let channel = channel(H264, usize::MAX, Arc::default());
        send(&channel, 0..5, 10);
        let catalogue = Arc::new(Catalogue::new([channel]));
        let previews = Previews::new(catalogue.clone(), 1);
        let mut preview = previews.open("news").await.expect("it is shown");
        catalogue.take("news");
        assert!(piece(&mut preview).await.is_some(), "what was there");
        assert!(piece(&mut preview).await.is_none());
    });
}

//! The way in the RTSP connection: two of its channels (RFC 2326 section 10.12).

use std::sync::Arc;

use bytes::Bytes;

use crate::net::Marks;
use crate::relay::{Carriage, Framing, Place, Sent, Standing, StreamSink, Subscription, Track};
use crate::wire::rtsp::interleaved_header;

use super::super::journal::Story;
use super::super::stream::{Output, Post, Sink};
use super::way::{Grant, Heirs, Way};

/// A pair of channels, and what goes out on them.
pub struct Interleaved {
    output: Arc<Output>,
    channels: (u8, u8),
    feed: Option<Feed>,
}

struct Feed {
    /// Where RTP and RTCP stand.
    places: [Arc<Standing>; 2],
    subscriptions: [Subscription; 2],
}

impl Interleaved {
    pub fn new(output: Arc<Output>, channels: (u8, u8), marks: Marks) -> Self {
        output.carry_media(marks.dscp);
        Self { output, channels, feed: None }
    }
}

impl Way for Interleaved {
    fn grant(&self) -> Grant {
        Grant::Interleaved { channels: self.channels }
    }

    fn start(&mut self, track: &Track, (rtp_from, rtcp_from): (Place, Place), story: &Arc<Story>) {
        let (rtp, rtcp) =
            (track.rtp.cursor(Carriage::Tcp, rtp_from), track.rtcp.cursor(Carriage::Tcp, rtcp_from));
        let places = [rtp.place(), rtcp.place()];
        let framings = [self.channels.0, self.channels.1].map(Framing::Channel);
        self.output.post(Post::Open { framing: framings[0], cursor: rtp.told_to(story.clone()) });
        self.output.post(Post::Open { framing: framings[1], cursor: rtcp });
        let sink = || Arc::new(Sink(self.output.clone()));
        let subscriptions = [
            track.rtp.subscribe_stream(Carriage::Tcp, sink(), places[0].clone()),
            track.rtcp.subscribe_stream(Carriage::Tcp, sink(), places[1].clone()),
        ];
        self.feed = Some(Feed { places, subscriptions });
    }

    fn stop(&mut self, heirs: Option<&Heirs>) {
        let Some(feed) = self.feed.take() else { return };
        if let Some(Heirs { rtp, rtcp }) = heirs {
            feed.places[0].bequeath(rtp.clone());
            feed.places[1].bequeath(rtcp.clone());
        }
        feed.places.iter().for_each(|place| self.output.post(Post::Close(place.clone())));
        drop(feed);
        // What the connection has for streams that were closed goes now: no lane asks for it any more.
        Sink(self.output.clone()).pump(None);
    }

    fn settled(&self) -> Option<u64> {
        self.feed.as_ref()?.subscriptions[0].settled()
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        self.feed.as_ref().map(|feed| feed.subscriptions[0].progress())
    }

    fn say(&self, rtcp: &[u8]) {
        let mut framed = interleaved_header(self.channels.1, rtcp.len() as u16).to_vec();
        framed.extend(rtcp);
        self.output.post(Post::Bytes(Bytes::from(framed)));
        Sink(self.output.clone()).pump(None);
    }
}

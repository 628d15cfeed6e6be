//! The way of a viewer over HTTP: the transport stream of a track is the body of a reply, which ends with the connection.

use std::sync::Arc;

use crate::net::Marks;
use crate::relay::{Carriage, Framing, Place, Sent, Standing, StreamSink, Subscription, Track};

use super::super::journal::Story;
use super::super::stream::{Output, Post, Sink};
use super::way::{Grant, Heirs, Way};

/// A connection that carries nothing else.
pub struct OverHttp {
    output: Arc<Output>,
    feed: Option<(Arc<Standing>, Subscription)>,
    /// What is done when it ends.
    when_over: Option<Box<dyn FnOnce() + Send>>,
}

impl OverHttp {
    pub fn new(output: Arc<Output>, marks: Marks, when_over: Box<dyn FnOnce() + Send>) -> Self {
        output.carry_media(marks.dscp);
        Self { output, feed: None, when_over: Some(when_over) }
    }
}

impl Way for OverHttp {
    fn grant(&self) -> Grant {
        Grant::Http
    }

    fn start(&mut self, track: &Track, (from, _): (Place, Place), story: &Arc<Story>) {
        let cursor = track.rtp.cursor(Carriage::Http, from);
        let place = cursor.place();
        let cursor = cursor.told_to(story.clone());
        self.output.post(Post::Open { framing: Framing::TransportStream, cursor });
        let sink = Arc::new(Sink(self.output.clone()));
        let subscription = track.rtp.subscribe_stream(Carriage::Http, sink, place.clone());
        self.feed = Some((place, subscription));
    }

    /// The connection is there for nothing else: it ends where nobody goes on.
    fn stop(&mut self, heirs: Option<&Heirs>) {
        let Some((place, subscription)) = self.feed.take() else { return };
        heirs.iter().for_each(|heirs| place.bequeath(heirs.rtp.clone()));
        self.output.post(Post::Close(place));
        drop(subscription);
        if heirs.is_none() {
            self.output.post(Post::Hangup);
        }
        Sink(self.output.clone()).pump(None);
        if heirs.is_none() {
            self.when_over.take().into_iter().for_each(|then| then());
        }
    }

    fn settled(&self) -> Option<u64> {
        self.feed.as_ref()?.1.settled()
    }

    fn progress(&self) -> Option<(Sent, u64)> {
        self.feed.as_ref().map(|(_, subscription)| subscription.progress())
    }

    /// There is no RTCP.
    fn say(&self, _: &[u8]) {}
}

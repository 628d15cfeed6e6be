//! Who watches a channel over HTTP: a session like any other, whose one way is the body of a reply.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::event::{Alarm, Class, Task, Work, clock, lock};
use crate::relay::{Call, Channel, Claim, Expected, StreamSink, Track};
use crate::wire::http::media_begins;

use super::super::access::Good;
use super::super::media::OverHttp;
use super::super::rtsp::{Costs, Session};
use super::super::session_watch::SessionWatch;
use super::super::stats::RefusedFor;
use super::super::stream::{Post, Sink};
use super::asked::{Asked, Refusal};

/// A channel that is pulled has to be there by then.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Has a channel watched by who asks for it.
pub(super) fn watch(asked: Asked, name: String, now: Instant) {
    if let Err(refusal) = asked.judge(&name, now) {
        return asked.refuse(refusal);
    }
    let catalogue = asked.out.server.catalogue.clone();
    // Before the channel: one that comes is found first, and then expected no more.
    let expected = catalogue.expected(&name);
    match (catalogue.find(&name), expected) {
        (Some(channel), _) => begin(&asked, channel, now),
        (None, Some(_)) if asked.is_head() => say_that_it_is_there(&asked),
        (None, Some(expected)) => Waiting::start(asked, name, &expected, now),
        (None, None) => asked.refuse(Refusal::not_found()),
    }
}

/// Answers HEAD as GET would begin.
pub(super) fn say_that_it_is_there(asked: &Asked) {
    asked.out.server.counters.http_request(asked.head.method.label(), 200);
    asked.out.reply(media_begins(clock::unix_now()));
}

/// Begins to send a channel.
pub(super) fn begin(asked: &Asked, channel: Arc<Channel>, now: Instant) {
    let [track] = channel.tracks.as_slice() else { return asked.refuse(no_stream(asked, &channel)) };
    if !track.description.is_transport_stream() {
        return asked.refuse(no_stream(asked, &channel));
    }
    if asked.is_head() {
        return say_that_it_is_there(asked);
    }
    let track = track.clone();
    match open(asked, channel, &track, now) {
        Ok(session) => play(asked, &session, now),
        Err(reason) => {
            asked.out.server.counters.session_refused(reason);
            asked.refuse(Refusal::too_much(reason, asked.out.peer.port()));
        }
    }
}

fn no_stream(asked: &Asked, channel: &Channel) -> Refusal {
    let refusal = Refusal::of(415, "This channel is no MPEG transport stream, which is what goes over HTTP.");
    let url = asked.rtsp_url(&channel.name);
    refusal.more(url.map_or_else(String::new, |url| format!(" By RTSP it is {url}")))
}

/// A session of who asks, ready to play.
fn open(
    asked: &Asked,
    channel: Arc<Channel>,
    track: &Arc<Track>,
    now: Instant,
) -> Result<Arc<Session>, RefusedFor> {
    let out = &asked.out;
    let server = &out.server;
    server.welcome(now)?;
    let memory = out.output.room.for_setup(0).ok_or(RefusedFor::Connection)?;
    let egress = out.account.take(Good::Egress, track.rtp.ring().bits_per_second());
    let egress = egress.map_err(RefusedFor::egress)?;
    let session = server.begin((out.peer, &out.account), &out.home, channel, now)?;
    let over = Arc::downgrade(out);
    let when_over = Box::new(move || over.upgrade().into_iter().for_each(|out| out.part()));
    let way = OverHttp::new(out.output.clone(), track.rtp.marks(), when_over);
    session.set_up(&out.home, (track, ""), Some(Box::new(way)), Costs { egress, memory });
    Ok(session)
}

fn play(asked: &Asked, session: &Arc<Session>, now: Instant) {
    let out = &asked.out;
    out.server.counters.http_request(asked.head.method.label(), 200);
    if !out.carry(session) {
        out.server.sessions.end(session, "connection closed", now);
        return;
    }
    out.output.post(Post::Bytes(Bytes::from(media_begins(clock::unix_now()))));
    session.play(&session.plan(now), asked.head.agent.as_deref(), now);
    // What is there goes out at once, and not with the next packet.
    Sink(out.output.clone()).pump(None);
    SessionWatch::start(&out.server, session, now);
    out.attend();
}

/// Who waits for a channel to come, of which only the name is known.
struct Waiting {
    asked: Mutex<Option<(Asked, String)>>,
    alarm: Mutex<Option<Alarm>>,
    /// Somebody wants it.
    _claim: Claim,
}

/// It has been waited for long enough.
struct Late(Arc<Call>);

impl Waiting {
    fn start(asked: Asked, name: String, expected: &Arc<Expected>, now: Instant) {
        let (server, out) = (asked.out.server.clone(), asked.out.clone());
        let asked = Mutex::new(Some((asked, name)));
        let waiting = Arc::new(Self { asked, alarm: Mutex::default(), _claim: Claim::on(&expected.demand) });
        let (queue, own) = (server.poller.queue(Class::Control).clone(), waiting.clone());
        let call = Call::new(move || queue.push(Task::new("RtspTask", own)));
        let late = Task::new("ConnectionWatch", Arc::new(Late(call.clone())));
        *lock(&waiting.alarm) = Some(server.timers.alarm(now + LONGEST_WAIT, late));
        out.attend();
        expected.call(call);
    }
}

impl Work for Waiting {
    fn run(self: Arc<Self>) {
        drop(lock(&self.alarm).take());
        let Some((asked, name)) = lock(&self.asked).take().filter(|(asked, _)| !asked.out.is_closed()) else {
            return;
        };
        match asked.out.server.catalogue.find(&name) {
            Some(channel) => begin(&asked, channel, clock::now()),
            None => asked.refuse(Refusal::of(504, "The channel's source has not answered.")),
        }
    }

    fn close(self: Arc<Self>) {
        drop(lock(&self.asked).take());
    }
}

impl Work for Late {
    fn run(self: Arc<Self>) {
        self.0.make();
    }

    fn close(self: Arc<Self>) {
        self.0.cancel();
    }
}

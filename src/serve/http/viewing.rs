//! Who watches a channel over HTTP: a session like any other, whose one way is the body of a reply.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};

use crate::event::{Alarm, Task, Work, clock};
use crate::relay::{Call, Channel, Claim, Expected, StreamSink, Track};
use crate::wire::http::{MEDIA_HEADERS, media_begins, past_begins};

use super::super::access::Good;
use super::super::rtsp::{Costs, Session};
use super::super::session_watch::SessionWatch;
use super::super::stats::{PLAYED, RefusedFor};
use super::super::stream::{Post, Sink};
use super::asked::Asked;
use super::outgoing::Outgoing;
use super::past::Film;
use super::refusal::Refusal;
use super::request::{Answer, Reply};

/// A channel that is pulled has to be there by then.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Has a channel watched by who asks for it.
pub(super) async fn watch(asked: &Asked<'_>, name: &str) -> Result<Answer, Refusal> {
    asked.judge(name, clock::now())?;
    let catalogue = &asked.server().catalogue;
    // Before the channel: one that comes is found first, and then expected no more.
    let expected = catalogue.expected(name);
    match (catalogue.find(name), expected) {
        (Some(channel), _) => begin(asked, channel),
        (None, Some(_)) if asked.is_head() => Ok(that_it_is_there()),
        (None, Some(expected)) => {
            Coming::wait(asked, &expected).await;
            let late = Refusal::of(504, "The channel's source has not answered.");
            begin(asked, catalogue.find(name).ok_or(late)?)
        }
        (None, None) => Err(Refusal::not_found()),
    }
}

/// Answers HEAD as GET would begin.
pub(super) fn that_it_is_there() -> Answer {
    let mut reply = Reply::default();
    let headers =
        MEDIA_HEADERS.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    reply.headers_mut().extend(headers);
    Answer::Reply(reply)
}

/// Begins to send a channel.
pub(super) fn begin(asked: &Asked<'_>, channel: Arc<Channel>) -> Result<Answer, Refusal> {
    let [track] = channel.tracks.as_slice() else { return Err(no_stream(asked, &channel)) };
    if !track.description.is_transport_stream() {
        return Err(no_stream(asked, &channel));
    }
    let now = clock::now();
    let film =
        asked.place.past.as_ref().map(|past| Film::of(asked, &channel, past, now)).transpose()?.flatten();
    if asked.is_head() {
        return Ok(that_it_is_there());
    }
    let (track, out) = (track.clone(), Outgoing::of(&asked.request.client));
    let played = film.as_ref().map_or(&track, |film| &film.track);
    let session = open(asked, &out, channel, (&track, played), now).map_err(|reason| {
        asked.server().counters.session_refused(reason);
        Refusal::too_much(reason, out.client.peer.port())
    })?;
    let agent = asked.request.header("User-Agent").map(str::to_owned);
    Ok(Answer::LeadOn(Box::new(move |arrival, _| {
        out.take_over(arrival.place);
        play(&out, &session, film, agent.as_deref(), clock::now());
    })))
}

fn no_stream(asked: &Asked<'_>, channel: &Channel) -> Refusal {
    let refusal = Refusal::of(415, "This channel is no MPEG transport stream, which is what goes over HTTP.");
    let url = asked.rtsp_url(&channel.name);
    refusal.more(url.map_or_else(String::new, |url| format!(" By RTSP it is {url}")))
}

/// A session of who asks, ready to play a track; it is reckoned by what the channel's own is like.
fn open(
    asked: &Asked<'_>,
    out: &Arc<Outgoing>,
    channel: Arc<Channel>,
    (track, played): (&Arc<Track>, &Arc<Track>),
    now: Instant,
) -> Result<Arc<Session>, RefusedFor> {
    let (server, client) = (asked.server(), &out.client);
    server.welcome(now)?;
    let memory = out.output.room.for_setup(0).ok_or(RefusedFor::Connection)?;
    let egress = client.account.take(Good::Egress, track.rtp.ring().bits_per_second());
    let egress = egress.map_err(RefusedFor::egress)?;
    let session = server.begin((client.peer, &client.account), &out.home, channel, now)?;
    out.carry(&session);
    session.set_up(&out.home, (played, ""), Some(Box::new(out.way(played))), Costs { egress, memory });
    Ok(session)
}

fn play(out: &Arc<Outgoing>, session: &Arc<Session>, film: Option<Film>, agent: Option<&str>, now: Instant) {
    let head = match &film {
        Some(film) => past_begins(clock::unix_now(), &film.called),
        None => media_begins(clock::unix_now()),
    };
    out.output.post(Post::Bytes(Bytes::from(head)));
    session.play(&session.plan(now), agent, now);
    if let Some(Film { deck, .. }) = film {
        session.plays_from(&deck);
        let (server, session) = (out.client.server.clone(), Arc::downgrade(session));
        deck.play(move || {
            session
                .upgrade()
                .iter()
                .for_each(|session| drop(server.sessions.end(session, PLAYED, clock::now())));
        });
    }
    // What is there goes out at once, and not with the next packet.
    Sink(out.output.clone()).pump(None);
    SessionWatch::start(&out.client.server, session, now);
    out.attend();
}

/// A channel that is to come, of which only the name is known, for as long as it is waited for.
struct Coming {
    call: Arc<Call>,
    _alarm: Alarm,
}

/// It has been waited for long enough.
struct Late(Arc<Call>);

impl Coming {
    async fn wait(asked: &Asked<'_>, expected: &Expected) {
        let _claim = Claim::on(&expected.demand);
        let mut coming = None;
        poll_fn(|context| {
            let Self { call, .. } = coming.get_or_insert_with(|| {
                let waker = context.waker().clone();
                let call = Call::new(move || waker.wake());
                let late = Task::new("ConnectionWatch", Arc::new(Late(call.clone())));
                let alarm = asked.server().timers.alarm(clock::now() + LONGEST_WAIT, late);
                expected.call(call.clone());
                Self { call, _alarm: alarm }
            });
            if call.is_made() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.call.cancel();
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

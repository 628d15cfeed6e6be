//! The HttpConnection: has hyper read requests of one client and answer them, one after the other, until it is led on to who serves
//! it by its connection alone, or that ends.
//!
//! ```text
//!  socket ─▶ event ─▶ task ─▶ poll of hyper ─┬─▶ polled again, for what hyper waits for
//!  an answer that was waited for ─▶ wake ─┘  ├─▶ led on: with the stream, and what hyper has read behind the request
//!                                            └─▶ over: what is out is read, and then the client closes
//! ```

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::{Context, Poll, Wake};

use crate::event::{
    Alarm, Class, Event, Interest, PollEventConsumer, PollKey, RunState, Task, Work, clock, lock,
};

use super::super::access::{Good, Share};
use super::super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::super::rtsp_server::RtspServer;
use super::super::stats::{CutFor, Transport};
use super::hyper_side::{Http, Signs, serve, taken_in};
use super::outgoing::Outgoing;
use super::request::{Client, HttpService, LeadOn, Rest};

pub(super) struct HttpConnection {
    client: Arc<Client>,
    key: OnceLock<PollKey>,
    /// Its task is asked for by its socket, and by answers that were waited for.
    run: RunState,
    /// Absent once the client is led on, or its connection closed.
    live: Mutex<Option<Live>>,
}

struct Live {
    http: Http,
    signs: Arc<Mutex<Signs>>,
    place: Place,
    /// What has come of a head that is not whole.
    share: Share,
    alarm: Alarm,
    /// What was asked, and whether more has begun, when it was set.
    watched: (u64, bool),
}

/// What is to be done after a poll of hyper.
enum Next {
    Wait(Interest),
    /// The client waits for its answer, and hyper hears nothing of it meanwhile.
    Attend,
    /// Hyper is to be polled again, which it has asked for.
    Nothing,
    LeadOn(LeadOn, Vec<u8>),
    Over,
    Close(Option<CutFor>),
}

impl HttpConnection {
    /// Takes a client on who speaks HTTP; `bytes` are what it has said.
    pub fn open(
        server: &Arc<RtspServer>,
        service: &Arc<dyn HttpService>,
        arrival: Arrival,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        let Arrival { stream, peer, account, mut place } = arrival;
        place.carries(if stream.is_secret() { Transport::Https } else { Transport::Http });
        let has_more = !bytes.is_empty() || stream.has_more();
        let socket = stream.socket().clone();
        let local = socket.local_addr()?;
        let share = account.take(Good::UnreadBytes, 0).map_err(|_| io::Error::other("too much is unread"))?;
        let client = Arc::new(Client {
            server: server.clone(),
            peer,
            local,
            account,
            stream,
            known: Mutex::default(),
        });
        let (http, signs) = serve(&client, service, bytes);
        let connection =
            Arc::new(Self { client, key: OnceLock::new(), run: RunState::default(), live: Mutex::default() });
        let key = server.poller.register(Class::Control, socket, connection.clone())?;
        let alarm = connection.watch();
        *connection.live() = Some(Live { http, signs, place, share, alarm, watched: (0, false) });
        let key = connection.key.get_or_init(|| key);
        if has_more {
            connection.ask();
            return Ok(());
        }
        key.enable(Interest::Read).inspect_err(|_| connection.close_for(None))
    }

    fn watch(self: &Arc<Self>) -> Alarm {
        let server = &self.client.server;
        let watch = Task::new("ConnectionWatch", Arc::new(HttpWatch(Arc::downgrade(self))));
        server.timers.alarm(clock::now() + server.message_timeout(), watch)
    }

    /// Has its task run, once more if it runs now.
    fn ask(self: &Arc<Self>) {
        if self.run.request() {
            self.queue();
        }
    }

    fn queue(self: &Arc<Self>) {
        let Client { server, account, .. } = &*self.client;
        let task = ask_for_turn(account, self.clone());
        task.into_iter().for_each(|task| server.poller.queue(Class::Control).push(task));
    }

    /// Has hyper do what it can.
    fn poll(self: &Arc<Self>, live: &mut Live) -> Next {
        self.client.server.poller.vitals().may_fault("request", String::new);
        lock(&live.signs).blocked = None;
        let waker = Arc::new(Again(Arc::downgrade(self))).into();
        let polled = Pin::new(&mut live.http).poll(&mut Context::from_waker(&waker));
        let mut signs = lock(&live.signs);
        if live.share.change(signs.unfinished as u64).is_err() {
            return Next::Close(Some(CutFor::UnreadBytes));
        }
        match polled {
            Poll::Ready(_) if signs.has_ended => Next::Close(signs.cut),
            Poll::Ready(Err(error)) if error.is_parse() => {
                let status = if error.is_parse_too_large() { 431 } else { 400 };
                self.client.server.counters.http_request("other", status);
                self.client.tell(status, "This is no request of HTTP that is served here.", None);
                Next::Over
            }
            Poll::Ready(_) => Next::Over,
            Poll::Pending => {
                let watched = (signs.asked, signs.unfinished > 0);
                if watched != live.watched {
                    (live.alarm, live.watched) = (self.watch(), watched);
                }
                // Nothing is lost of what was answered before.
                let lead_on = if signs.has_unsent { None } else { signs.lead_on.take() };
                match (lead_on, signs.blocked) {
                    (Some((then, body)), _) => Next::LeadOn(then, body.map_or_else(Vec::new, taken_in)),
                    (None, Some(interest)) => Next::Wait(interest),
                    (None, None) if signs.asked > signs.answered => Next::Attend,
                    (None, None) => Next::Nothing,
                }
            }
        }
    }

    /// Does what comes of it; `live` is this connection's no more if it ends.
    fn carry_out(self: &Arc<Self>, next: Next) {
        match next {
            Next::Wait(interest) => self.resume(interest),
            Next::Nothing => {}
            Next::Attend => match self.client.stream.socket().peek(&mut [0]) {
                Ok(1..) => {} // it is heard when it was answered
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.resume(Interest::Read),
                Ok(_) | Err(_) => self.close_for(None),
            },
            Next::LeadOn(then, mut bytes) => {
                let Some(Live { http, place, mut share, .. }) = self.let_go() else { return };
                bytes.extend(http.into_parts().read_buf);
                if share.change(bytes.len() as u64).is_err() {
                    return self.hang_up(Some(CutFor::UnreadBytes));
                }
                let Client { peer, account, stream, .. } = &*self.client;
                let (stream, account) = (stream.clone(), account.clone());
                then(Arrival { stream, peer: *peer, account, place }, Rest { bytes, share });
            }
            Next::Over => {
                let Some(Live { place, .. }) = self.let_go() else { return };
                Outgoing::of(&self.client).hang_up(place);
            }
            Next::Close(reason) => self.close_for(reason),
        }
    }

    fn resume(&self, interest: Interest) {
        self.key.get().into_iter().for_each(|key| key.resume(interest));
    }

    /// Polls for the client no more, so that others may.
    fn let_go(&self) -> Option<Live> {
        let live = self.live().take()?;
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        Some(live)
    }

    fn close_for(&self, reason: Option<CutFor>) {
        if self.let_go().is_some() {
            self.hang_up(reason);
        }
    }

    fn hang_up(&self, reason: Option<CutFor>) {
        let Client { server, peer, stream, .. } = &*self.client;
        if let Some(reason) = reason {
            server.counters.connection_cut(reason);
            server.tell_of_cut(*peer, reason);
        }
        stream.shut();
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        lock(&self.live)
    }
}

impl PollEventConsumer for HttpConnection {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        if self.run.request() { ask_for_turn(&self.client.account.clone(), self) } else { None }
    }

    fn close(self: Arc<Self>) {
        self.close_for(None);
    }
}

impl Work for HttpConnection {
    fn run(self: Arc<Self>) {
        let Client { server, account, stream, .. } = &*self.client;
        let _turn = Turn { account, poller: &server.poller };
        self.run.begin();
        let next = self.live().as_mut().map(|live| self.poll(live));
        if stream.has_to_answer() {
            let _ = stream.flush();
        }
        next.into_iter().for_each(|next| self.carry_out(next));
        if self.run.finish(|| false) {
            self.queue();
        }
    }

    fn close(self: Arc<Self>) {
        self.close_for(None);
    }
}

/// Hyper, or who answers, has something to do.
struct Again(Weak<HttpConnection>);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.upgrade().into_iter().for_each(|connection| connection.ask());
    }
}

/// A head has so long to come, a reply to be read, and the next request to begin.
struct HttpWatch(Weak<HttpConnection>);

impl Work for HttpWatch {
    fn run(self: Arc<Self>) {
        let Some(connection) = self.0.upgrade() else { return };
        let mut guard = connection.live();
        let Some(live) = &mut *guard else { return };
        let signs = lock(&live.signs);
        let reason = match (signs.asked, signs.unfinished) {
            // The delay is ours.
            _ if connection.run.is_queued() || signs.asked > signs.answered => {
                drop(signs);
                live.alarm = connection.watch();
                return;
            }
            (0, 0) => Some(CutFor::Silent),
            (_, 0) => None,
            _ => Some(CutFor::Unfinished),
        };
        drop(signs);
        drop(guard);
        connection.close_for(reason);
    }

    fn close(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.close_for(None);
        }
    }
}

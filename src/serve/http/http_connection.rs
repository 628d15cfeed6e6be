//! The HttpConnection: reads the head of one request, and leads its client to who serves it.
//!
//! It ends with that: either way what follows the head belongs to the service, or the request was refused.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::Bytes;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::relay::StreamSink;
use crate::wire::http::{Answer, HEAD_BYTES, Head, Method, Spoken, spoken};

use super::super::access::{Account, Good, Share};
use super::super::arrival::{Arrival, Turn, ask_for_turn};
use super::super::journal::{Refused, Why};
use super::super::rtsp_server::RtspServer;
use super::super::stats::{CutFor, Transport};
use super::super::stream::{Output, Post, READ_BYTES, Sink};

/// Words of the log.
pub(super) const NOT_SERVED: &str = "request over HTTP refused";

/// What requests over HTTP lead to.
pub(super) trait HttpService: Send + Sync {
    /// Serves the client of a request, which is counted; `rest` is what came behind its head.
    ///
    /// # Errors
    /// What it is told instead, which is not counted.
    fn serve(&self, head: Head, rest: Rest, arrival: Arrival) -> Result<(), (Arrival, Answer)>;
}

/// What has come of a client and is not read, as a part of what its address may have us hold.
pub(super) struct Rest {
    pub bytes: Vec<u8>,
    pub share: Share,
}

pub(super) struct HttpConnection {
    server: Arc<RtspServer>,
    service: Arc<dyn HttpService>,
    key: OnceLock<PollKey>,
    state: Mutex<State>,
    account: Arc<Account>,
}

struct State {
    /// Absent once it is led on, or closed.
    arrival: Option<Arrival>,
    bytes: Vec<u8>,
    /// What they are a part of; absent likewise.
    share: Option<Share>,
    alarm: Option<Alarm>,
    /// Something has come and waits for a turn, or for a worker: until it is read the client is not to blame.
    waits: bool,
}

impl HttpConnection {
    /// Takes a client on who speaks HTTP; `bytes` are what it has said.
    pub fn open(
        server: &Arc<RtspServer>,
        service: &Arc<dyn HttpService>,
        mut arrival: Arrival,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        arrival.place.carries(if arrival.stream.is_secret() { Transport::Https } else { Transport::Http });
        let (socket, account) = (arrival.stream.socket().clone(), arrival.account.clone());
        // What has come already is looked at when the socket takes something, which is at once.
        let has_more = !bytes.is_empty() || arrival.stream.has_more();
        let share = account.take(Good::UnreadBytes, 0).ok();
        let connection = Arc::new(Self {
            server: server.clone(),
            service: service.clone(),
            key: OnceLock::new(),
            state: Mutex::new(State { arrival: Some(arrival), bytes, share, alarm: None, waits: false }),
            account,
        });
        let key = server.poller.register(Class::Control, socket, connection.clone())?;
        connection.watch(&mut connection.state());
        let first = if has_more { Interest::Write } else { Interest::Read };
        connection.key.get_or_init(|| key).enable(first).inspect_err(|_| connection.close_for(None))
    }

    fn watch(self: &Arc<Self>, state: &mut State) {
        let watch = Task::new("ConnectionWatch", Arc::new(HttpWatch(Arc::downgrade(self))));
        state.alarm = Some(self.server.timers.alarm(clock::now() + self.server.message_timeout(), watch));
    }

    /// Reads what is there, until the client is led on. Errors: it is gone, or to go.
    fn read(&self, state: &mut State) -> Result<(), Option<CutFor>> {
        loop {
            let is_within = |share: &mut Share| share.change(state.bytes.len() as u64).is_ok();
            if !state.share.as_mut().is_some_and(is_within) {
                return Err(Some(CutFor::UnreadBytes));
            }
            if self.lead_on(state)? {
                return Ok(());
            }
            let State { arrival: Some(arrival), bytes, .. } = state else { return Ok(()) };
            match arrival.stream.read_more(bytes) {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CutFor::of_tls(&error)),
            }
        }
    }

    /// Leads the client on once its head is whole. `false`: it is not.
    fn lead_on(&self, state: &mut State) -> Result<bool, Option<CutFor>> {
        if spoken(&state.bytes) == Some(Spoken::Tls) {
            return Err(Some(CutFor::TlsInTheClear));
        }
        let answer = match Head::read(&state.bytes) {
            Ok(None) => return Ok(false),
            Ok(Some((head, length))) => {
                let Some((arrival, mut share)) = self.let_go(state) else { return Ok(true) };
                let bytes = mem::take(&mut state.bytes).split_off(length);
                let method = head.method;
                let _ = share.change(bytes.len() as u64); // less than before
                match self.service.serve(head, Rest { bytes, share }, arrival) {
                    Ok(()) => return Ok(true),
                    Err((arrival, answer)) => (arrival, answer, method),
                }
            }
            Err(wrong) => {
                let Some((arrival, _)) = self.let_go(state) else { return Ok(true) };
                let text = "This is no request of HTTP that is served here.";
                (arrival, Answer { status: wrong.status(), text }, Method::Other)
            }
        };
        self.refuse(answer);
        Ok(true)
    }

    /// Polls for the client no more, so that others may.
    fn let_go(&self, state: &mut State) -> Option<(Arrival, Share)> {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        state.alarm = None;
        state.arrival.take().zip(state.share.take())
    }

    /// The answer goes out as far as the connection takes it at once, which has taken nothing yet.
    fn refuse(&self, (arrival, answer, method): (Arrival, Answer, Method)) {
        let server = &self.server;
        server.counters.http_request(method.label(), answer.status);
        let why = Why { what: NOT_SERVED, status: answer.status, reason: answer.text };
        server.teller.refuse(&Refused::unheard(arrival.peer, why), clock::now());
        let reply = answer.to_bytes(clock::unix_now(), &[]);
        let output = Output::new(arrival.stream, server.poller.clone(), server.counters.clone());
        output.post(Post::Bytes(Bytes::from(reply)));
        output.post(Post::Hangup);
        Sink(output).pump(None);
    }

    fn close_for(&self, reason: Option<CutFor>) {
        let mut state = self.state();
        let Some((arrival, _)) = self.let_go(&mut state) else { return };
        if let Some(reason) = reason {
            self.server.counters.connection_cut(reason);
            self.server.tell_of_cut(arrival.peer, reason);
        }
        arrival.stream.shut();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl PollEventConsumer for HttpConnection {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.state().waits = true;
        let account = self.account.clone();
        ask_for_turn(&account, self)
    }

    fn close(self: Arc<Self>) {
        self.close_for(None);
    }
}

impl Work for HttpConnection {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.account, poller: &self.server.poller };
        let mut state = self.state();
        state.waits = false;
        let read = self.read(&mut state);
        let goes_on = state.arrival.is_some() && state.bytes.len() < HEAD_BYTES + READ_BYTES;
        drop(state);
        match read {
            Err(reason) => self.close_for(reason),
            Ok(()) if goes_on => self.key.get().into_iter().for_each(|key| key.resume(Interest::Read)),
            Ok(()) => {}
        }
    }

    fn close(self: Arc<Self>) {
        self.close_for(None);
    }
}

/// A head has so long to come.
struct HttpWatch(std::sync::Weak<HttpConnection>);

impl Work for HttpWatch {
    fn run(self: Arc<Self>) {
        let Some(connection) = self.0.upgrade() else { return };
        let mut state = connection.state();
        if state.waits {
            connection.watch(&mut state); // the delay is ours
        } else {
            let has_begun = !state.bytes.is_empty();
            drop(state);
            connection.close_for(Some(if has_begun { CutFor::Unfinished } else { CutFor::Silent }));
        }
    }

    fn close(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.close_for(None);
        }
    }
}

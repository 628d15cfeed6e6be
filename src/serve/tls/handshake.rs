//! The handshake of TLS with one client, which is then led on to what it came for.
//!
//! It is work of control, a step at each event: no worker waits for a client. Its whole time is bounded, and how much a client may
//! say before it is over.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use rustls::ServerConnection;
use socket2::SockRef;

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};

use super::super::access::Account;
use super::super::arrival::{Arrival, Door, Turn, ask_for_turn};
use super::super::certificates::Certificates;
use super::super::journal::{Refused, Why};
use super::super::rtsp_server::RtspServer;
use super::super::stats::{NoHandshake, Transport};
use super::super::stream::{ByteStream, READ_BYTES, TlsStream};

/// What a client may say in a handshake: its hello is the longest part, with some hundreds of bytes.
pub const HANDSHAKE_BYTES: usize = 16 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A handshake that is under way.
pub struct Handshake {
    server: Arc<RtspServer>,
    door: Arc<dyn Door>,
    socket: Arc<TcpStream>,
    account: Arc<Account>,
    key: OnceLock<PollKey>,
    /// Something has come and waits for a turn, or for a worker: until it is read the client is not to blame.
    waits: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Absent once it is over.
    under_way: Option<(Arrival, ServerConnection)>,
    /// What the client has said.
    bytes: usize,
    alarm: Option<Alarm>,
}

impl Handshake {
    /// Shakes hands with a client, and then leads it through the door.
    pub fn begin(
        server: &Arc<RtspServer>,
        certificates: &Certificates,
        mut arrival: Arrival,
        door: Arc<dyn Door>,
    ) -> io::Result<()> {
        arrival.place.carries(Transport::Tls);
        let tls = ServerConnection::new(certificates.present()).map_err(io::Error::other)?;
        let (socket, account) = (arrival.stream.socket().clone(), arrival.account.clone());
        let state = State { under_way: Some((arrival, tls)), ..State::default() };
        let handshake = Arc::new(Self {
            server: server.clone(),
            door,
            socket: socket.clone(),
            account,
            key: OnceLock::new(),
            waits: AtomicBool::new(false),
            state: Mutex::new(state),
        });
        let key = server.poller.register(Class::Control, socket, handshake.clone())?;
        handshake.watch(&mut handshake.state());
        let polled = handshake.key.get_or_init(|| key).enable(Interest::Read);
        polled.inspect_err(|_| handshake.fail(&mut handshake.state(), None))
    }

    fn watch(self: &Arc<Self>, state: &mut State) {
        let watch = Task::new("ConnectionWatch", Arc::new(HandshakeWatch(Arc::downgrade(self))));
        state.alarm = Some(self.server.timers.alarm(clock::now() + self.server.message_timeout(), watch));
    }

    /// One step: what can be written and read now. `Ok(None)`: that was the last.
    fn step(&self, state: &mut State) -> Result<Option<Interest>, NoHandshake> {
        self.server.poller.vitals().may_fault("handshake", String::new);
        let State { under_way: Some((_, tls)), bytes, .. } = state else { return Ok(None) };
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut &*self.socket) {
                    Ok(0) => return Err(NoHandshake::Closed),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(Interest::Write)),
                    Err(error) if error.kind() != ErrorKind::Interrupted => return Err(NoHandshake::Closed),
                    _ => {}
                }
            }
            if !tls.is_handshaking() {
                return Ok(None);
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let count = (&*self.socket).read(scratch)?;
                *bytes += count;
                io::Result::Ok((count, take_in(tls, &scratch[..count])))
            });
            match read {
                Ok((0, _)) => return Err(NoHandshake::Closed),
                Ok((_, Err(reason))) => {
                    let _ = tls.write_tls(&mut &*self.socket); // the alert that says why
                    return Err(reason);
                }
                Ok(_) if *bytes > HANDSHAKE_BYTES => return Err(NoHandshake::Protocol),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(Interest::Read)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(NoHandshake::Closed),
            }
        }
    }

    /// It is over: the client is led on.
    fn finish(&self, state: &mut State) {
        let Some((arrival, tls)) = self.let_go(state) else { return };
        self.server.counters.handshake(Ok(()));
        // What it says next waits for that (RFC 896), and there is nothing to be said to it yet that would carry it.
        let _ = SockRef::from(&*self.socket).set_tcp_quickack(true);
        let (peer, socket) = (arrival.peer, self.socket.clone());
        let stream = ByteStream::Tls(Arc::new(TlsStream::new(socket, tls)));
        if let Err(error) = self.door.lead_in(Arrival { stream, ..arrival }) {
            tracing::debug!(%peer, %error, "a client could not be served after its handshake");
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    fn fail(&self, state: &mut State, reason: Option<NoHandshake>) {
        let Some((arrival, _)) = self.let_go(state) else { return };
        if let Some(reason) = reason {
            self.server.counters.handshake(Err(reason));
            let why = Why { what: "handshake failed", status: 0, reason: reason.label() };
            self.server.teller.refuse(&Refused::unheard(arrival.peer, why), clock::now());
        }
        arrival.stream.shut();
    }

    fn let_go(&self, state: &mut State) -> Option<(Arrival, ServerConnection)> {
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        mem::take(state).under_way
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Has the session take in what one read brought.
fn take_in(tls: &mut ServerConnection, mut bytes: &[u8]) -> Result<(), NoHandshake> {
    while !bytes.is_empty() && tls.read_tls(&mut bytes).map_err(|_| NoHandshake::Protocol)? > 0 {
        tls.process_new_packets().map_err(|error| match error {
            rustls::Error::AlertReceived(_) => NoHandshake::Alert,
            _ => NoHandshake::Protocol,
        })?;
    }
    Ok(())
}

impl PollEventConsumer for Handshake {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.waits.store(true, Relaxed);
        let account = self.account.clone();
        ask_for_turn(&account, self)
    }

    fn close(self: Arc<Self>) {
        self.fail(&mut self.state(), Some(NoHandshake::Fault));
    }
}

impl Work for Handshake {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.account, poller: &self.server.poller };
        let mut state = self.state();
        self.waits.store(false, Relaxed);
        match self.step(&mut state) {
            Ok(None) => self.finish(&mut state),
            Err(reason) => self.fail(&mut state, Some(reason)),
            Ok(Some(interest)) => {
                drop(state);
                self.key.get().into_iter().for_each(|key| key.resume(interest));
            }
        }
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self);
    }
}

/// A handshake has so long, however it goes.
struct HandshakeWatch(Weak<Handshake>);

impl Work for HandshakeWatch {
    fn run(self: Arc<Self>) {
        let Some(handshake) = self.0.upgrade() else { return };
        let mut state = handshake.state();
        if handshake.waits.load(Relaxed) {
            handshake.watch(&mut state); // the delay is ours
        } else {
            handshake.fail(&mut state, Some(NoHandshake::Timeout));
        }
    }

    fn close(self: Arc<Self>) {
        if let Some(handshake) = self.0.upgrade() {
            handshake.fail(&mut handshake.state(), Some(NoHandshake::Fault));
        }
    }
}

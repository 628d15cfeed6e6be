//! Of a tunnel, the half by which the client speaks: the body of its POST.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::wire::http::Upstream;

use super::super::access::Account;
use super::super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::super::downstream::Heard;
use super::super::rtsp::READ_BYTES;
use super::super::rtsp_connection::{OtherHalf, RtspConnection};
use super::super::rtsp_server::RtspServer;
use super::super::stats::CutFor;
use super::super::stream::ByteStream;

/// A client that floods goes to the queue's tail after these many reads.
const READS_PER_TASK: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

pub(super) struct PostHalf {
    server: Arc<RtspServer>,
    peer: SocketAddr,
    stream: ByteStream,
    account: Arc<Account>,
    key: OnceLock<PollKey>,
    /// Locked by the task, and by who joins the halves; before that of the half by which we speak.
    state: Mutex<State>,
    /// Given back when it is closed.
    held: Mutex<Option<Held>>,
    /// Something has come and waits for a turn, or for a worker.
    waits: AtomicBool,
}

struct State {
    body: Upstream,
    /// What has come and is not passed on.
    bytes: Vec<u8>,
    /// Something was passed on that is not all answered.
    is_held_back: bool,
    down: Weak<RtspConnection>,
}

struct Held {
    _place: Place,
    /// Until then the other half has to be there.
    alarm: Option<Alarm>,
    forget: Forget,
}

/// Called with its address as a half ends.
pub(super) type Forget = Box<dyn FnOnce(*const PostHalf) + Send>;

/// How a task ends.
enum Ends {
    /// There may be more to read.
    Reading,
    /// The client has to read first.
    HeldBack,
    /// The client says no more.
    Over,
    Cut(CutFor),
}

impl PostHalf {
    /// Waits for the half by which we speak. `bytes` have come already; `forget` is called as it ends.
    pub fn open(
        server: &Arc<RtspServer>,
        arrival: Arrival,
        bytes: Vec<u8>,
        forget: Forget,
    ) -> io::Result<Arc<Self>> {
        let Arrival { stream, peer, account, place } = arrival;
        let half = Arc::new(Self {
            server: server.clone(),
            peer,
            stream: stream.clone(),
            account,
            key: OnceLock::new(),
            state: Mutex::new(State {
                body: Upstream::default(),
                bytes,
                is_held_back: false,
                down: Weak::new(),
            }),
            held: Mutex::new(Some(Held { _place: place, alarm: None, forget })),
            waits: AtomicBool::new(false),
        });
        let key = server.poller.register(Class::Control, stream.socket().clone(), half.clone())?;
        half.key.get_or_init(|| key);
        let watch = Task::new("ConnectionWatch", Arc::new(HalfWatch(Arc::downgrade(&half))));
        let alarm = server.timers.alarm(clock::now() + server.message_timeout(), watch);
        if let Some(held) = &mut *lock(&half.held) {
            held.alarm = Some(alarm);
        }
        Ok(half)
    }

    /// The tunnel is whole.
    pub fn join(self: &Arc<Self>, down: &Arc<RtspConnection>) {
        let Ok(before) = down.join(self.clone()) else { return self.end() };
        if let Some(before) = before {
            before.finish();
        }
        lock(&self.state).down = Arc::downgrade(down);
        if let Some(held) = &mut *lock(&self.held) {
            held.alarm = None;
        }
        // What has come already is passed on when the socket takes something, which is at once.
        let enabled = self.key.get().map(|key| key.enable(Interest::Write));
        if enabled.is_some_and(|enabled| enabled.is_err()) {
            self.end();
        }
    }

    /// Passes on what is there.
    fn pass_on(&self, state: &mut State, down: &Arc<RtspConnection>, reads: usize) -> Ends {
        self.server.poller.vitals().may_fault("post", String::new);
        if mem::take(&mut state.is_held_back) && down.hear(&[]) == Heard::HeldBack {
            state.is_held_back = true;
            return Ends::HeldBack;
        }
        for _ in 0..=reads {
            while !state.bytes.is_empty() {
                let count = state.bytes.len().min(READ_BYTES);
                let mut said = Vec::with_capacity(count / 4 * 3 + 3);
                let result = state.body.take(&state.bytes[..count], &mut said);
                state.bytes.drain(..count);
                let heard = down.hear(&said);
                match (result, heard) {
                    (Err(_), _) => return Ends::Cut(CutFor::BrokenTunnel),
                    (_, Heard::More) => {}
                    (_, Heard::HeldBack) => {
                        state.is_held_back = true;
                        return Ends::HeldBack;
                    }
                    (_, Heard::Gone) => return Ends::Over,
                }
            }
            state.bytes = Vec::new(); // a client that says nothing holds nothing
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let count = self.stream.read(scratch)?;
                state.bytes.extend_from_slice(&scratch[..count]);
                io::Result::Ok(count)
            });
            match read {
                Ok(0) => return Ends::Over,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ends::Reading,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return CutFor::of_tls(&error).map_or(Ends::Over, Ends::Cut),
            }
        }
        Ends::Reading
    }

    /// Once the client has read enough it is heard further.
    fn go_on_when_read(self: &Arc<Self>, down: &RtspConnection) {
        let half = self.clone();
        if !down.output.when_read(Box::new(move || half.ask())) {
            self.ask();
        }
    }

    fn ask(self: &Arc<Self>) {
        if let Some(task) = ask_for_turn(&self.account, self.clone()) {
            self.server.poller.queue(Class::Control).push(task);
        }
    }

    /// It says no more; the tunnel waits for another one.
    fn end(&self) {
        let down = lock(&self.state).down.clone();
        self.leave(&down);
    }

    /// What the client has said may be lost, and what would follow it nonsense: the tunnel ends.
    fn lose(&self) {
        let down = lock(&self.state).down.clone();
        OtherHalf::close(self);
        if let Some(down) = down.upgrade() {
            down.close_now(&mut down.state());
        }
    }

    fn leave(&self, down: &Weak<RtspConnection>) {
        OtherHalf::close(self);
        if let Some(down) = down.upgrade() {
            down.part((&raw const *self).cast());
        }
    }

    /// It is ended for what its client did or left undone, and with it the tunnel.
    fn cut(&self, down: &Arc<RtspConnection>, reason: CutFor) {
        OtherHalf::close(self);
        down.cut(&mut down.state(), reason);
    }
}

impl OtherHalf for PostHalf {
    fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    fn finish(&self) {
        let mut state = lock(&self.state);
        let down = state.down.clone();
        if let Some(down) = down.upgrade() {
            // What could not be passed on now would be lost, and what follows it nonsense.
            match self.pass_on(&mut state, &down, READS_PER_TASK) {
                Ends::Cut(reason) => self.cut(&down, reason),
                Ends::HeldBack => self.cut(&down, CutFor::UnreadReplies),
                Ends::Reading | Ends::Over => {}
            }
        }
        OtherHalf::close(self);
    }

    fn close(&self) {
        let Some(Held { forget, .. }) = lock(&self.held).take() else { return };
        if let Some(key) = self.key.get() {
            key.unregister();
        }
        self.stream.shut();
        forget(self);
    }
}

impl PollEventConsumer for PostHalf {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.waits.store(true, Relaxed);
        let account = self.account.clone();
        ask_for_turn(&account, self)
    }

    fn close(self: Arc<Self>) {
        self.lose();
    }
}

impl Work for PostHalf {
    fn run(self: Arc<Self>) {
        let _turn = Turn { account: &self.account, poller: &self.server.poller };
        let mut state = lock(&self.state);
        self.waits.store(false, Relaxed);
        if lock(&self.held).is_none() {
            return;
        }
        let Some(down) = state.down.upgrade() else {
            drop(state);
            return self.end();
        };
        let ends = self.pass_on(&mut state, &down, READS_PER_TASK);
        self.stream.answer();
        let has_more = !state.bytes.is_empty() || self.stream.has_more();
        drop(state);
        match ends {
            Ends::Reading => {
                let interest = if has_more { Interest::Write } else { Interest::Read };
                self.key.get().into_iter().for_each(|key| key.resume(interest));
            }
            Ends::HeldBack => self.go_on_when_read(&down),
            Ends::Over => self.end(),
            Ends::Cut(reason) => self.cut(&down, reason),
        }
    }

    fn close(self: Arc<Self>) {
        self.lose();
    }
}

/// A half has so long to find its other one.
struct HalfWatch(Weak<PostHalf>);

impl Work for HalfWatch {
    fn run(self: Arc<Self>) {
        let Some(half) = self.0.upgrade() else { return };
        if lock(&half.held).as_ref().is_some_and(|held| held.alarm.is_some()) {
            half.server.counters.connection_cut(CutFor::HalfTunnel);
            half.server.tell_of_cut(half.peer, CutFor::HalfTunnel);
            OtherHalf::close(&*half);
        }
    }

    fn close(self: Arc<Self>) {
        if let Some(half) = self.0.upgrade() {
            OtherHalf::close(&*half);
        }
    }
}

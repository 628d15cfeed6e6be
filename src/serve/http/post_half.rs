//! Of a tunnel, the half by which the client speaks: the body of its POST.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::event::{Alarm, Class, Event, Interest, PollEventConsumer, PollKey, Task, Work, clock, lock};
use crate::wire::http::Upstream;

use super::super::access::{Account, Share};
use super::super::arrival::{Arrival, Place, Turn, ask_for_turn};
use super::super::attendance::{Attending, ConnectionParcel, Packed, Speaks};
use super::super::downstream::Heard;
use super::super::rtsp_connection::RtspConnection;
use super::super::rtsp_server::RtspServer;
use super::super::saying::OtherHalf;
use super::super::stats::CutFor;
use super::super::stream::{ByteStream, READ_BYTES};
use super::request::Rest;

/// A client that floods goes to the queue's tail after these many reads.
const READS_PER_TASK: usize = 4;
/// What a half has that is followed is passed on in as many turns; that is more than the kernel keeps of one that is not read.
const LAST_TURNS: usize = 16;

pub(super) struct PostHalf {
    server: Arc<RtspServer>,
    peer: SocketAddr,
    stream: ByteStream,
    account: Arc<Account>,
    /// What the client calls the tunnel by.
    cookie: String,
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
    /// What that is a part of.
    share: Share,
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
    /// All that has come is read.
    Reading,
    /// There may be more to read.
    InTurn,
    /// The client has to read first.
    HeldBack,
    /// The client says no more.
    Over,
    Cut(CutFor),
}

impl PostHalf {
    /// Waits for the half by which we speak. `rest` has come already; `forget` is called as it ends.
    pub fn open(
        server: &Arc<RtspServer>,
        arrival: Arrival,
        rest: Rest,
        cookie: String,
        forget: Forget,
    ) -> io::Result<Arc<Self>> {
        let Rest { bytes, share } = rest;
        let Arrival { stream, peer, account, place } = arrival;
        let half = Arc::new(Self {
            server: server.clone(),
            peer,
            stream: stream.clone(),
            account,
            cookie,
            key: OnceLock::new(),
            state: Mutex::new(State {
                body: Upstream::default(),
                bytes,
                share,
                is_held_back: false,
                down: Weak::new(),
            }),
            held: Mutex::new(Some(Held { _place: place, alarm: None, forget })),
            waits: AtomicBool::new(false),
        });
        let key = server.poller.register(Class::Control, stream.socket().clone(), half.clone())?;
        half.key.get_or_init(|| key);
        server.attendance.add(&half);
        let watch = Task::new("ConnectionWatch", Arc::new(HalfWatch(Arc::downgrade(&half))));
        let alarm = server.timers.alarm(clock::now() + server.message_timeout(), watch);
        if let Some(held) = &mut *lock(&half.held) {
            held.alarm = Some(alarm);
        }
        Ok(half)
    }

    /// The tunnel is whole.
    pub fn join(self: &Arc<Self>, down: &Arc<RtspConnection>) {
        // Held until all is said that came before: whoever follows this one waits for that.
        let mut state = lock(&self.state);
        state.down = Arc::downgrade(down);
        let Ok(before) = down.join(self.clone()) else {
            drop(state);
            return self.end();
        };
        if let Some(before) = before {
            before.finish();
        }
        drop(state);
        if let Some(held) = &mut *lock(&self.held) {
            held.alarm = None;
        }
        // What has come already is passed on when the socket takes something, which is at once.
        let enabled = self.key.get().map(|key| key.enable(Interest::Write));
        if enabled.is_some_and(|enabled| enabled.is_err()) {
            self.end();
        }
    }

    /// Passes on what is there. What can not be passed on is weighed.
    fn pass_on(&self, state: &mut State, down: &Arc<RtspConnection>, reads: usize) -> Ends {
        let ends = self.pass_on_unweighed(state, down, reads);
        if state.share.change(state.bytes.len() as u64).is_ok() {
            ends
        } else {
            Ends::Cut(CutFor::UnreadBytes)
        }
    }

    fn pass_on_unweighed(&self, state: &mut State, down: &Arc<RtspConnection>, reads: usize) -> Ends {
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
            match self.stream.read_more(&mut state.bytes) {
                Ok(0) => return Ends::Over,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ends::Reading,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return CutFor::of_tls(&error).map_or(Ends::Over, Ends::Cut),
            }
        }
        Ends::InTurn
    }

    /// Passes on all that is there.
    fn pass_on_the_rest(&self, state: &mut State, down: &Arc<RtspConnection>) -> Ends {
        let mut turns = (0..LAST_TURNS).map(|_| self.pass_on(state, down, READS_PER_TASK));
        turns.find(|ends| !matches!(ends, Ends::InTurn)).unwrap_or(Ends::InTurn)
    }

    /// Once the client has read enough it is heard further.
    fn go_on_when_read(self: &Arc<Self>, down: &RtspConnection) {
        let half = self.clone();
        down.when_heard_again(move || half.ask());
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
            match self.pass_on_the_rest(&mut state, &down) {
                Ends::Cut(reason) => self.cut(&down, reason),
                Ends::HeldBack => self.cut(&down, CutFor::UnreadReplies),
                Ends::InTurn => self.cut(&down, CutFor::BrokenTunnel), // it goes on and on
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
        self.server.attendance.remove(self);
        self.stream.shut();
        forget(self);
    }
}

impl Attending for PostHalf {
    fn pack(&self) -> Option<Packed> {
        let (state, ByteStream::Plain(socket)) = (lock(&self.state), &self.stream) else { return None };
        lock(&self.held).as_ref()?;
        let (client, speaks) = (self.peer, Speaks::TunnelUp(self.cookie.clone()));
        let heard = [state.body.begun(), &state.bytes].concat();
        let parcel = ConnectionParcel { client, speaks, heard, unwanted: 0, unsent: Vec::new() };
        Some(Packed { parcel, socket: socket.clone(), home: None })
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
        let _ = self.stream.flush();
        let has_more = !state.bytes.is_empty() || self.stream.has_more();
        drop(state);
        match ends {
            Ends::Reading | Ends::InTurn => {
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

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::super::access::Good;
    use super::super::super::saying::{Half, Says};
    use super::super::super::stats::Transport;
    use super::super::super::tests::Rig;
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    /// A client's connection, and ours.
    fn arrival(rig: &Rig) -> (TcpStream, Arrival) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (own, peer) = listener.accept().expect("one");
        let account = rig.server.addresses.account(peer.ip());
        let share = account.take(Good::Connections, 1).expect("room");
        let place = Place::new(share, rig.server.counters.clone(), Transport::Http);
        (client, Arrival::new(Arc::new(own), peer, account, place).expect("a socket"))
    }

    fn post(rig: &Rig, said: &str) -> (TcpStream, Arc<PostHalf>) {
        let (client, arrival) = arrival(rig);
        let bytes = STANDARD.encode(said).into_bytes();
        let share = arrival.account.take(Good::UnreadBytes, bytes.len() as u64).expect("room");
        let half =
            PostHalf::open(&rig.server, arrival, Rest { bytes, share }, String::new(), Box::new(|_| {}));
        (client, half.expect("it is polled"))
    }

    fn asking(cseq: u32) -> String {
        format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n")
    }

    #[track_caller]
    fn expect_replies(get: TcpStream, cseqs: impl IntoIterator<Item = u32>) {
        get.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
        let mut lines = BufReader::new(get).lines().map(|line| line.expect("a reply"));
        for cseq in cseqs {
            let line = lines.find(|line| line.starts_with("CSeq: ")).expect("a reply");
            assert_eq!(line, format!("CSeq: {cseq}"));
        }
    }

    /// The half by which we speak, of a client that we are to read by the other.
    fn get(rig: &Rig) -> (TcpStream, Arc<RtspConnection>) {
        let (client, arrival) = arrival(rig);
        let half = Half { other: None, was_whole: false, cookie: String::new(), _name: Box::new(()) };
        let down = RtspConnection::open(rig.server.clone(), arrival, Says::Nothing(half), None);
        (client, down.expect("it is polled"))
    }

    #[test]
    fn posts_that_come_at_once_are_heard_one_after_the_other() {
        let rig = Rig::with_connections(4);
        let (get, down) = get(&rig);
        let (ours, posts): (Vec<_>, Vec<_>) = (1..=3).map(|cseq| post(&rig, &asking(cseq))).unzip();
        let [first, second, third] = &posts[..] else { panic!("three posts") };
        // Its task is under way.
        let under_way = lock(&first.state);
        assert!(down.join(first.clone()).is_ok());
        thread::scope(|scope| {
            scope.spawn(|| second.join(&down));
            let follows = || match &down.state().says {
                Says::Nothing(Half { other: Some(other), .. }) => {
                    std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(second))
                }
                _ => false,
            };
            while !follows() {
                thread::yield_now();
            }
            let last = scope.spawn(|| third.join(&down));
            let began = clock::now();
            while !last.is_finished() && began.elapsed() < std::time::Duration::from_millis(100) {
                thread::yield_now(); // it waits for those before it, and would lose what they have said otherwise
            }
            let mut under_way = under_way;
            under_way.down = Arc::downgrade(&down);
        });
        expect_replies(get, 1..=3);
        drop((ours, posts, down));
        rig.stop();
    }

    #[test]
    fn what_a_post_has_said_is_heard_before_the_one_that_follows_however_much_it_is() {
        let rig = Rig::with_connections(3);
        let (get, down) = get(&rig);
        let (mut client, first) = post(&rig, "");
        let filler = "x".repeat(3000);
        let long = |cseq| format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\nX: {filler}\r\n\r\n");
        let (_, second) = post(&rig, &asking(11));
        // Nobody has a turn to read it.
        assert!(down.join(first.clone()).is_ok());
        lock(&first.state).down = Arc::downgrade(&down);
        let said: String = (1..=10).map(long).collect();
        client.write_all(STANDARD.encode(said).as_bytes()).expect("the kernel takes it");
        second.join(&down);
        expect_replies(get, 1..=11);
        drop((client, first, second, down));
        rig.stop();
    }
}

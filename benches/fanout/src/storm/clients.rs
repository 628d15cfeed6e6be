//! The viewers' connections: an event loop of handshakes, sessions, leaving, and coming again.
//!
//! It is asked to turn now and then, and never waits. Who is refused comes again after as many seconds as the
//! server said, who fails to connect after one, and who loses a session at once.

use std::collections::{BTreeSet, VecDeque};
use std::io::{ErrorKind, Result, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::ops::Range;

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::dialogue::{Dialogue, Next, Subscription, Transport, channel_url};
use crate::interleaved::{self, Came, Item, Room};
use crate::ledger::Notes;
use crate::sys::{self, Epoll};
use crate::tcp_view;

use super::crowds::Crowds;

/// Witnesses of each crowd: 200 packets each in a slice.
const WITNESSES: usize = 50;
const EVENTS_PER_TURN: usize = 4096;
const RETRY_S: u64 = 1;
const KEEP_ALIVE_INTERVAL_NS: u64 = 20_000_000_000;

/// Where a viewer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It wants nothing.
    Away,
    /// It wants to connect as soon as there is room, or when its time comes.
    Waiting,
    Connecting,
    Talking,
    Playing,
    Leaving,
}

/// How a viewer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Teardown,
    Close,
}

/// Whom the clients stand for.
pub struct Plan {
    pub server: SocketAddrV4,
    pub transport: Transport,
    /// Subscribers from 0 on: of channel `c1`, or of all.
    pub others: usize,
    /// Those behind them: of channel `c0`, or of all.
    pub viewers: usize,
    /// How many channels they are of, where they change between them.
    pub channels: Option<usize>,
    /// Handshakes under way at a time.
    pub concurrent: usize,
}

/// All viewers.
pub struct Clients {
    plan: Plan,
    clients: Vec<Client>,
    counts: [usize; 6],
    /// Who wants to connect as soon as there is room, and who does from a time on.
    waiting: VecDeque<usize>,
    due: BTreeSet<(u64, usize)>,
    /// Who changes to another channel from a time on, in order.
    changes: VecDeque<(u64, usize)>,
    epoll: Epoll,
    room: Room,
    reminded: usize,
    remind_ns: u64,
    /// Sessions that have begun to play.
    pub plays: u64,
    /// Requests that the server refused, and what it said last.
    pub refused: u64,
    pub refusal: Option<String>,
    /// Connections that could not be made, or ended within their handshake.
    pub failed: u64,
}

struct Client {
    state: State,
    stream: Option<TcpStream>,
    /// What is left of the last read: less than a frame or a reply.
    rest: Vec<u8>,
    dialogue: Dialogue,
    /// When it wished for another channel, if it has.
    wished_ns: Option<u64>,
}

impl Plan {
    /// All subscribers.
    pub fn everyone(&self) -> Range<usize> {
        0..self.others + self.viewers
    }

    fn subscription(&self, subscriber: usize, has_changed: bool) -> Subscription {
        let name = format!("c{}", self.channel(subscriber, has_changed));
        let port = address_plan::port_of(self.is_witness(subscriber));
        Subscription::new(subscriber, channel_url(self.server, &name), self.transport, port)
    }

    /// All channels have as many, before and after the change; neighbours come from and go to different ones.
    fn channel(&self, subscriber: usize, has_changed: bool) -> usize {
        let Some(channels) = self.channels else { return usize::from(subscriber < self.others) };
        let away =
            if has_changed { 1 + subscriber / channels % channels.saturating_sub(1).max(1) } else { 0 };
        (subscriber + away) % channels
    }

    fn is_witness(&self, subscriber: usize) -> bool {
        match subscriber.checked_sub(self.others) {
            Some(index) => address_plan::is_spread(index, self.viewers, WITNESSES),
            None => address_plan::is_spread(subscriber, self.others, WITNESSES),
        }
    }
}

impl Clients {
    /// Viewers who are all away.
    pub fn new(plan: Plan) -> Result<Self> {
        let client = |subscriber| Client {
            state: State::Away,
            stream: None,
            rest: Vec::new(),
            dialogue: Dialogue::new(plan.subscription(subscriber, false)),
            wished_ns: None,
        };
        let clients: Vec<_> = plan.everyone().map(client).collect();
        Ok(Self {
            counts: [clients.len(), 0, 0, 0, 0, 0],
            clients,
            plan,
            waiting: VecDeque::new(),
            due: BTreeSet::new(),
            changes: VecDeque::new(),
            epoll: Epoll::new(EVENTS_PER_TURN)?,
            room: Room::new(),
            reminded: 0,
            remind_ns: 0,
            plays: 0,
            refused: 0,
            refusal: None,
            failed: 0,
        })
    }

    /// How many are in this state.
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// Who plays over UDP, whether it is a witness, and where the server hears its RTCP.
    pub fn reporters(&self) -> Vec<(usize, bool, u16)> {
        let playing = self.clients.iter().enumerate().filter(|(_, client)| client.state == State::Playing);
        let reporter = |(subscriber, client): (usize, &Client)| {
            Some((subscriber, self.plan.is_witness(subscriber), client.dialogue.server_rtcp_port()?))
        };
        playing.filter_map(reporter).collect()
    }

    /// These want to play: at once, or one after the other within some time.
    pub fn join(&mut self, who: Range<usize>, now_ns: u64, within_ns: u64) {
        let step_ns = within_ns / who.len().max(1) as u64;
        for (subscriber, place) in who.zip(0..) {
            self.enter(subscriber, State::Waiting);
            self.due.insert((now_ns + place * step_ns, subscriber));
        }
    }

    /// These want to play another channel, one after the other within some time.
    pub fn change(&mut self, who: Range<usize>, now_ns: u64, within_ns: u64) {
        let step_ns = within_ns / who.len().max(1) as u64;
        self.changes =
            who.zip(0..).map(|(subscriber, place)| (now_ns + place * step_ns, subscriber)).collect();
    }

    /// These want to play no longer.
    pub fn leave(&mut self, who: Range<usize>, how: Leave, crowds: &mut Crowds) {
        for subscriber in who {
            if how == Leave::Close {
                self.drop_connection(subscriber, State::Away, crowds);
            } else {
                self.tear_down(subscriber, sys::monotonic_ns(), crowds);
            }
        }
    }

    fn tear_down(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) {
        let request = self.clients[subscriber].dialogue.teardown();
        self.enter(subscriber, State::Leaving);
        crowds.close(subscriber);
        self.send(subscriber, &request, now_ns, crowds);
    }

    /// Goes on with everything that can.
    pub fn turn(&mut self, now_ns: u64, crowds: &mut Crowds) -> Result<()> {
        while let Some(&(due_ns, subscriber)) = self.due.first()
            && due_ns <= now_ns
        {
            self.due.pop_first();
            self.waiting.push_back(subscriber);
        }
        while let Some((_, subscriber)) = self.changes.pop_front_if(|(due_ns, _)| *due_ns <= now_ns) {
            self.clients[subscriber].wished_ns = Some(now_ns);
            if self.clients[subscriber].state == State::Playing {
                self.tear_down(subscriber, now_ns, crowds);
            }
        }
        while self.count(State::Connecting) + self.count(State::Talking) < self.plan.concurrent
            && let Some(subscriber) = self.waiting.pop_front()
        {
            self.connect(subscriber, now_ns, crowds)?;
        }
        let ready: Vec<u64> = self.epoll.wait(0)?.collect();
        for token in ready {
            self.advance(token as usize, now_ns, crowds)?;
        }
        self.keep_alive(now_ns, crowds);
        Ok(())
    }

    fn connect(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) -> Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddrV4::new(address_plan::subscriber(subscriber), 0).into())?;
        match socket.connect(&self.plan.server.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                self.fail(subscriber, now_ns, crowds);
                return Ok(());
            }
            _ => {}
        }
        let stream = TcpStream::from(socket);
        self.epoll.add(&stream, subscriber as u64, Epoll::WRITABLE)?;
        let client = &mut self.clients[subscriber];
        let wished_ns = client.wished_ns;
        client.stream = Some(stream);
        client.dialogue = Dialogue::new(self.plan.subscription(subscriber, wished_ns.is_some()));
        self.enter(subscriber, State::Connecting);
        crowds.open(subscriber, self.plan.channel(subscriber, wished_ns.is_some()), wished_ns);
        Ok(())
    }

    /// Something came on a connection, or it is made.
    fn advance(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) -> Result<()> {
        let client = &mut self.clients[subscriber];
        let Some(stream) = &client.stream else { return Ok(()) };
        if client.state != State::Connecting {
            self.read(subscriber, now_ns, crowds);
        } else if stream.take_error()?.is_some() {
            self.fail(subscriber, now_ns, crowds);
        } else {
            self.epoll.rearm(stream, subscriber as u64, Epoll::READABLE)?;
            let request = client.dialogue.begin();
            self.enter(subscriber, State::Talking);
            self.send(subscriber, &request, now_ns, crowds);
        }
        Ok(())
    }

    fn read(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) {
        let Client { stream, rest, dialogue, .. } = &mut self.clients[subscriber];
        let Some(stream) = stream else { return };
        let mut bytes = match self.room.read(stream, rest) {
            Ok(Came::Bytes(bytes)) => bytes,
            Ok(Came::Nothing) => return,
            Ok(Came::End) | Err(_) => return self.lose(subscriber, now_ns, crowds),
        };
        let read_ns = sys::monotonic_ns();
        let mut answers = Vec::new();
        while let Some((item, behind)) = interleaved::split(bytes) {
            bytes = behind;
            match item {
                Item::Packet(packet) => tcp_view::note(subscriber, packet, read_ns, crowds),
                Item::Reply(reply) => answers.push(dialogue.answer(&String::from_utf8_lossy(reply))),
                Item::Junk => crowds.note_damaged(1),
                Item::Other => {}
            }
        }
        *rest = interleaved::rest(bytes);
        for next in answers {
            self.follow(subscriber, next, read_ns, crowds);
        }
    }

    fn follow(&mut self, subscriber: usize, next: Next, now_ns: u64, crowds: &mut Crowds) {
        match next {
            Next::Send(request) => self.send(subscriber, &request, now_ns, crowds),
            Next::Plays(announced) => {
                self.plays += 1;
                self.enter(subscriber, State::Playing);
                crowds.plays(subscriber, announced, now_ns);
            }
            Next::Refused(..) if self.clients[subscriber].state == State::Leaving => {
                self.be_gone(subscriber, crowds);
            }
            Next::Refused(why, retry_after_s) => {
                self.refused += 1;
                self.refusal = Some(why);
                self.retry(subscriber, now_ns, retry_after_s.unwrap_or(RETRY_S), crowds);
            }
            Next::Ended => self.be_gone(subscriber, crowds),
            Next::Nothing => {}
        }
    }

    fn send(&mut self, subscriber: usize, request: &str, now_ns: u64, crowds: &mut Crowds) {
        let Some(stream) = &mut self.clients[subscriber].stream else { return };
        match stream.write_all(request.as_bytes()) {
            // Where a server reads nothing any more, its end will be read as well.
            Err(error) if error.kind() != ErrorKind::WouldBlock => self.lose(subscriber, now_ns, crowds),
            _ => {}
        }
    }

    /// The server ended a connection.
    fn lose(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) {
        match self.clients[subscriber].state {
            State::Leaving => self.be_gone(subscriber, crowds),
            State::Playing => {
                self.drop_connection(subscriber, State::Waiting, crowds);
                self.waiting.push_back(subscriber);
            }
            _ => self.fail(subscriber, now_ns, crowds),
        }
    }

    /// It has left, and comes again where it wished for another channel.
    fn be_gone(&mut self, subscriber: usize, crowds: &mut Crowds) {
        if self.clients[subscriber].wished_ns.is_none() {
            return self.drop_connection(subscriber, State::Away, crowds);
        }
        self.drop_connection(subscriber, State::Waiting, crowds);
        self.waiting.push_back(subscriber);
    }

    fn fail(&mut self, subscriber: usize, now_ns: u64, crowds: &mut Crowds) {
        self.failed += 1;
        self.retry(subscriber, now_ns, RETRY_S, crowds);
    }

    fn retry(&mut self, subscriber: usize, now_ns: u64, seconds: u64, crowds: &mut Crowds) {
        self.drop_connection(subscriber, State::Waiting, crowds);
        self.due.insert((now_ns + seconds * 1_000_000_000, subscriber));
    }

    fn drop_connection(&mut self, subscriber: usize, state: State, crowds: &mut Crowds) {
        let client = &mut self.clients[subscriber];
        client.stream = None;
        client.rest.clear();
        self.enter(subscriber, state);
        crowds.close(subscriber);
    }

    fn enter(&mut self, subscriber: usize, state: State) {
        let old = std::mem::replace(&mut self.clients[subscriber].state, state);
        self.counts[old as usize] -= 1;
        self.counts[state as usize] += 1;
    }

    /// Reminds the server of sessions that are due: one after the other, round in the interval.
    fn keep_alive(&mut self, now_ns: u64, crowds: &mut Crowds) {
        let step_ns = KEEP_ALIVE_INTERVAL_NS / self.clients.len().max(1) as u64;
        if self.remind_ns == 0 {
            self.remind_ns = now_ns;
        }
        while self.remind_ns + step_ns <= now_ns {
            self.remind_ns += step_ns;
            self.reminded = (self.reminded + 1) % self.clients.len();
            let client = &mut self.clients[self.reminded];
            if client.state == State::Playing {
                let request = client.dialogue.keep_alive();
                self.send(self.reminded, &request, now_ns, crowds);
            }
        }
    }
}

//! A Talk: what was said in one conversation, and what is to be done about it. Knows no requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::relay::Channel;
use crate::wire::rtsp::{Invalid, Method, Reply, StatusCode};

use super::super::guard::Acquaintance;
use super::super::journal::reason_of;
use super::super::stats::{CutFor, RefusedFor};
use super::home::Home;
use super::live::Planned;
use super::session::Session;
use super::wait::Wait;
use super::world::World;

/// What was said, and what is to be done about it.
pub struct Talk {
    /// The connection that it is held on.
    pub home: Arc<Home>,
    /// Those that were asked for here last.
    pub sessions: Vec<Arc<Session>>,
    pub actions: VecDeque<Action>,
    /// A request that waits for a channel to come.
    pub wait: Option<Wait>,
    /// Who has logged in here.
    pub known: Acquaintance,
    /// The latest request, or the beginning.
    pub last_sign: Instant,
    pub has_asked: bool,
    /// No more of it is heard.
    pub is_over: bool,
}

/// What is to be done next.
pub enum Action {
    /// Is sent. `method` is absent where the request could not be read.
    Reply {
        reply: Reply,
        method: Option<Method>,
        status: StatusCode,
    },
    /// Is told to the log.
    Refused(Refused),
    /// A session has begun, and is to be watched over.
    Watch(Arc<Session>),
    /// Tracks are to be sent from these packets on.
    Start {
        session: Arc<Session>,
        plan: Vec<Planned>,
        agent: Option<String>,
    },
    /// What was loaded of the past is to be sent.
    StartPast {
        session: Arc<Session>,
        agent: Option<String>,
    },
    /// Tracks that play go on by what they were granted last.
    ChangeOver(Arc<Session>),
    /// No more of a session is sent, and all is kept.
    Pause(Arc<Session>),
    /// A track is taken out.
    TearDown(Arc<Session>, usize),
    End(Arc<Session>, &'static str),
    /// The connection is closed once all is out. It may be cut for what its client did.
    HangUp(Option<CutFor>),
}

/// A request that is refused, for the log.
pub struct Refused {
    pub status: StatusCode,
    pub reason: &'static str,
    pub method: Option<String>,
    /// The channel, or what could not be read.
    pub asked: Option<String>,
    pub agent: Option<String>,
}

impl Talk {
    pub fn new(home: Arc<Home>, now: Instant) -> Self {
        let (sessions, actions, known) = (Vec::new(), VecDeque::new(), Acquaintance::default());
        Self { home, sessions, actions, wait: None, known, last_sign: now, has_asked: false, is_over: false }
    }

    /// RTCP of a viewer in the connection.
    pub fn hear(&mut self, world: &dyn World, channel: u8, datagram: &[u8], now: Instant) {
        let Some(session) = self.sessions.iter().find(|session| session.uses_channel(channel)).cloned()
        else {
            return world.counters().rtcp_stranger();
        };
        let Some(track) = session.track_of_channel(channel) else { return };
        if session.hear(track, datagram, world.counters(), now) {
            self.end(session, "goodbye");
        }
    }

    pub fn refuse(&mut self, invalid: Invalid) {
        let Invalid { status, cseq, consumed, context } = invalid;
        let (method, agent) = (None, None);
        let refused = Refused { status, reason: reason_of(status), method, asked: Some(context), agent };
        self.actions.push_back(Action::Refused(refused));
        self.actions.push_back(Action::Reply { reply: Reply::new(status, cseq), method: None, status });
        if consumed.is_none() {
            self.actions.push_back(Action::HangUp(None));
        }
    }

    /// A session begins here. Who asks for it `in_connection` may have waited in vain over UDP: ffmpeg pauses what it has
    /// then, and never asks for that again. It is not to be in the way.
    pub fn begin(
        &mut self,
        world: &dyn World,
        channel: Arc<Channel>,
        in_connection: bool,
        now: Instant,
    ) -> Result<Arc<Session>, RefusedFor> {
        let is_left =
            |own: &&Arc<Session>| Arc::ptr_eq(&own.channel, &channel) && own.waits_beside_connection();
        let left = self.sessions.iter().find(is_left).filter(|_| in_connection).cloned();
        let session = world.begin(&self.home, channel, left.as_deref(), now)?;
        self.sessions.push(session.clone());
        self.actions.push_back(Action::Watch(session.clone()));
        Ok(session)
    }

    /// A request for a session has come: it belongs here from now on, if it may.
    pub fn take_over(&mut self, session: &Arc<Session>) {
        let is_known = self.sessions.iter().any(|own| Arc::ptr_eq(own, session));
        if session.move_to(&self.home) && !is_known {
            self.sessions.push(session.clone());
        }
    }

    /// Lets go of sessions that have ended, by whomever, and of those that were asked for elsewhere since.
    pub fn forget_others(&mut self) {
        let Self { sessions, home, .. } = self;
        sessions.retain(|session| session.belongs_to(home));
    }

    /// Hangs up once all is answered that came before.
    pub fn hang_up(&mut self, reason: CutFor) {
        self.is_over = true;
        self.actions.push_back(Action::HangUp(Some(reason)));
    }

    pub fn end(&mut self, session: Arc<Session>, reason: &'static str) {
        self.sessions.retain(|own| !Arc::ptr_eq(own, &session));
        self.actions.push_back(Action::End(session, reason));
    }
}

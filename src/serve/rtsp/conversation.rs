//! A conversation with one client: its bytes and the time go in, what is to be done comes out. Knows no socket, no timer and
//! no clock; what it has to know of the world it asks a [`World`].
//!
//! Who leads it carries out all actions of a message before the next one is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::rtsp::Incoming;

use super::super::stats::CutFor;
use super::home::Home;
use super::inbox::Inbox;
use super::requests;
use super::session::Session;
use super::talk::{Action, Talk};
use super::wait::Wait;
use super::world::World;

/// One client's.
pub struct Conversation {
    inbox: Inbox,
    talk: Talk,
}

impl Conversation {
    pub fn new(home: Arc<Home>, now: Instant) -> Self {
        Self { inbox: Inbox::default(), talk: Talk::new(home, now) }
    }

    /// Takes in what one read brought.
    pub fn add(&mut self, bytes: &[u8]) {
        self.inbox.add(bytes);
    }

    /// Takes the next message that is whole. `false`: there is none, or it has to wait.
    pub fn step(&mut self, world: &dyn World, now: Instant) -> bool {
        if let Some(wait) = self.talk.wait.take_if(|wait| wait.is_over(now)) {
            self.talk.go_on(world, &wait, now);
            return true;
        }
        if self.talk.wait.is_some() {
            return false;
        }
        match self.inbox.next() {
            Ok(None) => return false,
            Ok(Some((incoming, bytes))) => self.talk.take(world, incoming, bytes, now),
            Err(invalid) => self.talk.refuse(invalid),
        }
        if self.talk.is_over {
            self.inbox.deafen();
        }
        true
    }

    /// What is to be done next about the message that was taken.
    pub fn poll(&mut self) -> Option<Action> {
        self.talk.actions.pop_front()
    }

    /// To be called when all is taken that is to be now.
    pub fn settle(&mut self, now: Instant) {
        self.inbox.settle(now);
        self.talk.actions.shrink_to_fit(); // clients rest for long
    }

    /// It is not the client who keeps the rest from being read.
    pub fn excuse(&mut self) {
        self.inbox.excuse();
    }

    /// Whether nothing more is heard.
    pub fn is_over(&self) -> bool {
        self.inbox.is_deaf()
    }

    /// What is waited for before anything else is answered.
    pub fn wait(&self) -> Option<&Wait> {
        self.talk.wait.as_ref()
    }

    /// Bytes that nobody has read.
    pub fn unread(&self) -> usize {
        self.inbox.len()
    }

    /// When the client is to be hung up on if nothing changes, and why.
    pub fn time_is_up(&self, message_timeout: Duration, session_timeout: Duration) -> (Instant, CutFor) {
        let (longest, reason) = match self.talk.has_asked {
            true => (session_timeout, CutFor::Idle),
            false => (message_timeout, CutFor::Silent),
        };
        let silent_at = self.talk.last_sign + longest;
        match self.inbox.began() {
            None => (silent_at, reason),
            Some(began) if began <= silent_at => (began + message_timeout, CutFor::Unfinished),
            // What means nothing may be begun again and again: that is no more than to be silent.
            Some(_) => (silent_at + message_timeout, reason),
        }
    }

    /// Its time begins anew for as long as a session lives that belongs here.
    pub fn lives_by_sessions(&mut self, now: Instant) {
        self.talk.forget_others();
        if !self.talk.sessions.is_empty() {
            self.talk.last_sign = now;
        }
    }

    /// What is left of what the client has said, and how much is to come that nobody wants. `None`: it is not to go on elsewhere, as
    /// nothing more is heard, or something is waited for.
    pub fn rest(&self) -> Option<(Vec<u8>, usize)> {
        (!self.is_over() && self.talk.wait.is_none()).then(|| self.inbox.rest())
    }

    /// It goes on with what was left elsewhere, by a client that has asked before.
    pub fn go_on_with(&mut self, bytes: &[u8], unwanted: usize) {
        self.inbox.begin_with(bytes, unwanted);
        self.talk.has_asked = true;
    }

    /// A session that was begun elsewhere belongs here.
    pub fn adopt(&mut self, session: Arc<Session>) {
        self.talk.sessions.push(session);
    }

    /// The conversation is over; returns the sessions that belonged here.
    pub fn end(&mut self) -> Vec<Arc<Session>> {
        self.inbox = Inbox::default();
        self.talk.wait = None;
        std::mem::take(&mut self.talk.sessions)
    }
}

impl Talk {
    fn take(&mut self, world: &dyn World, incoming: Incoming, bytes: &[u8], now: Instant) {
        self.forget_others(); // others may have ended or taken them
        match incoming {
            Incoming::Request(request) => {
                (self.has_asked, self.last_sign) = (true, now);
                requests::answer(world, self, &request, now);
            }
            Incoming::Interleaved { channel, payload } => self.hear(world, channel, &bytes[payload], now),
            Incoming::LongFrame => world.counters().rtcp_refused("frame_too_long"),
            Incoming::Response | Incoming::Blank => {}
        }
        self.sessions.iter().for_each(|session| session.touch(now));
    }

    /// What was waited for has come, or its time is up.
    fn go_on(&mut self, world: &dyn World, wait: &Wait, now: Instant) {
        self.forget_others();
        self.last_sign = now;
        requests::answer_late(world, self, wait, now);
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use crate::event::clock;

    const TEN: Duration = Duration::from_secs(10);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn who_begins_again_and_again_what_means_nothing_is_silent() {
        let began = clock::now();
        let (world, mut conversation) = (Fake::new(began), Conversation::new(Arc::default(), began));
        let at = |seconds| began + Duration::from_secs(seconds);
        // Of a frame on nobody's channel the end, and of another one the beginning.
        let mut say = |bytes: &[u8], seconds| {
            conversation.add(bytes);
            while conversation.step(&world, at(seconds)) {
                while conversation.poll().is_some() {}
            }
            conversation.settle(at(seconds));
            let (time, reason) = conversation.time_is_up(TEN, MINUTE);
            (time.duration_since(began).as_secs(), reason)
        };
        assert_eq!(say(b"$\x09\x00\x02a", 2), (12, CutFor::Unfinished), "as any message");
        assert_eq!(say(b"a$\x09\x00\x02a", 9), (19, CutFor::Unfinished));
        for seconds in [11, 15, 19] {
            assert_eq!(
                say(b"a$\x09\x00\x02a", seconds),
                (20, CutFor::Silent),
                "it may be finished, and no more"
            );
        }
        assert_eq!(say(b"aOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 19), (79, CutFor::Idle));
        assert_eq!(say(b"$\x09\x00\x02a", 80), (89, CutFor::Idle));
    }

    /// Says something, and returns the statuses of what is answered.
    fn say(conversation: &mut Conversation, world: &Fake, bytes: &str, now: Instant) -> Vec<u16> {
        conversation.add(bytes.as_bytes());
        let mut statuses = Vec::new();
        while conversation.step(world, now) {
            while let Some(action) = conversation.poll() {
                if let Action::Reply { status, .. } = action {
                    statuses.push(status.into());
                }
            }
        }
        statuses
    }

    const DESCRIBE: &str = "DESCRIBE rtsp://edge/far RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    const OPTIONS: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n";
    const NOTHING: [u16; 0] = [];

    #[test]
    fn who_asks_for_what_is_to_come_is_answered_when_it_is_there_and_in_order() {
        let began = clock::now();
        let (world, mut conversation) = (Fake::new(began), Conversation::new(Arc::default(), began));
        let demand = Arc::new(crate::relay::Demand::default());
        demand.be_needed(Duration::ZERO);
        world.catalogue.expect("far", demand.clone());
        assert_eq!(say(&mut conversation, &world, &[DESCRIBE, OPTIONS].concat(), began), NOTHING);
        assert!(demand.is_there(began), "somebody wants it");
        let group = std::net::Ipv4Addr::new(239, 77, 60, 9).into();
        let far = crate::relay::rig::channel("far", crate::wire::sdp::mpegts("far", group, 5004, None));
        world.catalogue.put(far);
        assert_eq!(say(&mut conversation, &world, "", began), [200, 200]);
        assert!(!demand.is_there(clock::now()), "who waited does no more");
        assert_eq!(say(&mut conversation, &world, DESCRIBE, began), [200]);
    }

    #[test]
    fn what_does_not_come_is_waited_for_five_seconds() {
        let began = clock::now();
        let (world, mut conversation) = (Fake::new(began), Conversation::new(Arc::default(), began));
        world.catalogue.expect("far", Arc::default());
        assert_eq!(say(&mut conversation, &world, DESCRIBE, began), NOTHING);
        assert_eq!(say(&mut conversation, &world, OPTIONS, began + Duration::from_millis(4999)), NOTHING);
        assert_eq!(say(&mut conversation, &world, "", began + Duration::from_secs(5)), [504, 200]);
        world.catalogue.take("far");
        assert_eq!(say(&mut conversation, &world, DESCRIBE, began + TEN), [404]);
    }

    #[test]
    fn who_may_not_watch_what_is_to_come_does_not_wait() {
        let began = clock::now();
        let (mut world, mut conversation) = (Fake::new(began), Conversation::new(Arc::default(), began));
        world.mood = super::super::fake::Mood::Asking;
        world.catalogue.expect("far", Arc::default());
        assert_eq!(say(&mut conversation, &world, DESCRIBE, began), [401]);
    }
}

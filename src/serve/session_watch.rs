//! The SessionWatch: one timer a session, which ends it when its viewer has been silent for too long.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::event::{Task, Work, clock};

use super::rtsp::{Session, Verdict};
use super::rtsp_server::RtspServer;

pub(super) struct SessionWatch {
    server: Weak<RtspServer>,
    session: Weak<Session>,
}

impl SessionWatch {
    /// Watches over a new session.
    pub fn start(server: &Arc<RtspServer>, session: &Arc<Session>, now: Instant) {
        let watch = Self { server: Arc::downgrade(server), session: Arc::downgrade(session) };
        Arc::new(watch).wake(server, session, server.patience().first_look(now));
    }

    /// A session that has ended keeps no timer waiting: viewers who come and go fast would pile them up.
    fn wake(self: Arc<Self>, server: &RtspServer, session: &Session, at: Instant) {
        session.watched_by(server.timers.alarm(at, Task::new("SessionWatch", self)));
    }

    fn look(self: Arc<Self>, server: &RtspServer, session: &Session, now: Instant) {
        let is_asked = session.lives_by_connection();
        let output = session.output.as_ref().filter(|_| is_asked);
        if let Some(output) = output
            && output.progress().is_some_and(|progress| !session.take_progress(progress, now))
        {
            server.sessions.end(session, "timeout", now);
            return output.cut_off(); // nobody would hear a goodbye
        }
        match server.patience().judge(session.last_sign(), session.media(now), is_asked, now) {
            Verdict::Over => server.cut(session, "timeout", "no sign of life"),
            Verdict::LookAgain(at) => {
                if session.is_playing() && !session.weigh_what_has_come() {
                    server.shed_egress(session.peer);
                }
                self.wake(server, session, at);
            }
        }
    }
}

impl Work for SessionWatch {
    fn run(self: Arc<Self>) {
        if let (Some(server), Some(session)) = (self.server.upgrade(), self.session.upgrade()) {
            server.poller.vitals().may_fault("session", || session.id.clone());
            self.look(&server, &session, clock::now());
        }
    }

    /// Nobody would watch over the session any more.
    fn close(self: Arc<Self>) {
        if let (Some(server), Some(session)) = (self.server.upgrade(), self.session.upgrade()) {
            server.cut(&session, "fault", "a fault of the server");
        }
    }
}

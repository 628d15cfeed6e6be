//! The SessionWatch: one timer a session, which ends it when its viewer has been silent for too long.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, Work, clock};

use super::access::Beyond;
use super::rtsp::{Session, Verdict};
use super::rtsp_server::RtspServer;
use super::stats::{EGRESS, NOT_BACK};

pub(super) struct SessionWatch {
    server: Weak<RtspServer>,
    session: Weak<Session>,
}

impl SessionWatch {
    /// Watches over a new session.
    pub fn start(server: &Arc<RtspServer>, session: &Arc<Session>, now: Instant) {
        Self::of(server, session).wake(server, session, server.patience().first_look(now));
    }

    /// Watches over one whose client has closed its connection.
    pub fn await_return(server: &Arc<RtspServer>, session: &Arc<Session>, now: Instant) {
        Self::of(server, session).wake(server, session, now + server.config().close_grace);
    }

    fn of(server: &Arc<RtspServer>, session: &Arc<Session>) -> Arc<Self> {
        Arc::new(Self { server: Arc::downgrade(server), session: Arc::downgrade(session) })
    }

    /// A session that has ended keeps no timer waiting: viewers who come and go fast would pile them up.
    fn wake(self: Arc<Self>, server: &RtspServer, session: &Session, at: Instant) {
        session.watched_by(server.timers.alarm(at, Task::new("SessionWatch", self)));
    }

    fn look(self: Arc<Self>, server: &RtspServer, session: &Session, now: Instant) {
        session.looked_at(now);
        let (is_asked, longest) = (session.lives_by_connection(), server.config().longest_silence);
        let home = session.home();
        if let Some(output) = home.as_ref().filter(|_| is_asked).and_then(|home| home.output.as_ref())
            && output.progress().is_some_and(|progress| !session.take_progress(progress, longest, now))
        {
            server.sessions.end(session, "timeout", now);
            return output.cut_off(); // nobody would hear a goodbye
        }
        let signs = session.signs();
        match server.patience().judge(signs, session.media(now), is_asked, now) {
            Verdict::Over if signs.is_not_back() => {
                server.cut(session, NOT_BACK, "the connection was closed")
            }
            Verdict::Over => server.cut(session, "timeout", "no sign of life"),
            Verdict::LookAgain(at) => {
                match session.is_playing().then(|| session.weigh_what_has_come()) {
                    Some(Err(Beyond::Address)) => server.shed_egress(session.peer),
                    // All are too many to look for who came last among them; this one is known to be too much.
                    Some(Err(Beyond::All)) => {
                        return server.cut(session, EGRESS, "more than there is for all");
                    }
                    Some(Ok(())) | None => {}
                }
                // Where it stands by a connection that had asked before, that may be closed meanwhile.
                let soon = now + server.config().close_grace.max(Duration::from_secs(1));
                self.wake(server, session, if home.is_some() { at } else { at.min(soon) });
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

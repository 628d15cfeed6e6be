//! What comes of a conversation, carried out on the connection it is had by.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::event::clock;
use crate::relay::StreamSink;
use crate::wire::rtsp::Reply;

use super::journal::{REFUSED, Refused, Why};
use super::rtsp::Action;
use super::rtsp_connection::RtspConnection;
use super::session_watch::SessionWatch;
use super::stream::{Post, Sink};

impl RtspConnection {
    pub(super) fn carry_out(self: &Arc<Self>, action: Action, now: Instant) {
        let server = &self.server;
        match action {
            Action::Reply { reply, method, status } => {
                server.counters.request(method.as_ref(), status);
                self.reply(reply);
            }
            Action::Refused(refused) => {
                let why = Why { what: REFUSED, status: refused.status.into(), reason: refused.reason };
                let (method, asked) = (refused.method.as_deref(), refused.asked.as_deref());
                let agent = refused.agent.as_deref();
                server.teller.refuse(&Refused { client: self.peer, why, method, asked, agent }, now);
            }
            Action::Watch(session) => SessionWatch::start(server, &session, now),
            Action::Start { session, plan, agent } => {
                // Players open the way through a NAT before they ask for packets.
                if session.is_looked_for() {
                    server.pairs.glance_for_clients(now).iter().for_each(|learnt| learnt.tell(now));
                }
                session.play(&plan, agent.as_deref(), now);
            }
            Action::ChangeOver(session) => session.change_over(now),
            Action::StartPast { session, agent } => session.play_past(agent.as_deref(), now),
            Action::Pause(session) => session.pause(now),
            Action::TearDown(session, track) => session.tear_down(track),
            Action::End(session, reason) => drop(server.sessions.end(&session, reason, now)),
            Action::HangUp(reason) => {
                if let Some(reason) = reason {
                    server.counters.connection_cut(reason);
                    server.tell_of_cut(self.peer, reason);
                }
                self.output.close_when_written();
            }
        }
    }

    fn reply(&self, reply: Reply) {
        let reply = reply.date(clock::unix_now());
        self.output.post(Post::Bytes(Bytes::from(reply.to_bytes())));
        Sink(self.output.clone()).pump(None);
    }
}

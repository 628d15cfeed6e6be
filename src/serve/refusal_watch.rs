//! The RefusalWatch: hears that nobody listens at a viewer's port any more (ICMP port unreachable), and ends what is sent
//! there. It hears too what comes to our RTP ports from viewers behind a NAT, and has their media go where they are.
//!
//! It looks by the clock, and for as long as there are viewers over UDP: a socket that is polled for what comes back
//! would have the kernel look for someone to wake at each packet that has left.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::event::{Task, Work, clock};

use super::rtsp_server::RtspServer;

/// A viewer whose port is closed is found at the second look after that.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) struct RefusalWatch(Weak<RtspServer>);

impl RefusalWatch {
    /// Watches from here on, unless it does already.
    pub fn start(server: &Arc<RtspServer>, now: Instant) {
        if server.pairs.begin_watch() {
            Arc::new(Self(Arc::downgrade(server))).wait(server, now);
        }
    }

    fn wait(self: Arc<Self>, server: &RtspServer, now: Instant) {
        server.timers.at(now + LOOK_EVERY, Task::new("RefusalWatch", self));
    }

    fn look(server: &RtspServer, now: Instant) {
        server.poller.vitals().may_fault("refusals", String::new);
        let learnt = server.pairs.look_for_clients(now);
        learnt.iter().for_each(|learnt| learnt.tell(now));
        for (place, client) in server.pairs.take_refusals(now) {
            client.taker.refuse(client.track, place, now);
        }
    }
}

impl Work for RefusalWatch {
    fn run(self: Arc<Self>) {
        let Some(server) = self.0.upgrade() else { return };
        let now = clock::now();
        Self::look(&server, now);
        if server.pairs.is_in_use() {
            return self.wait(&server, now);
        }
        server.pairs.end_watch();
        // One who came meanwhile has found the watch there, and started none.
        if server.pairs.is_in_use() {
            Self::start(&server, now);
        }
    }

    fn close(self: Arc<Self>) {
        if let Some(server) = self.0.upgrade() {
            server.poller.vitals().fault("watch");
            self.wait(&server, clock::now());
        }
    }
}

//! What viewers' RTCP says beside what they have lost: signs of life, quality, goodbyes. Threads of media leave it here, and those
//! of control hear it; so that reports never delay packets.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::event::{Task, TaskQueue, Vitals, Work, clock, lock};
use crate::wire::rtcp;

use super::super::stats::{Counters, Port};
use super::clients::{Clients, Voice};

/// Datagrams that wait, and their bytes. What comes beyond that is counted and not heard.
const MOST_WAITING: usize = 1024;
const MOST_BYTES: usize = 256 << 10;

/// The datagrams of a pair that wait to be heard.
pub struct RtcpInbox {
    clients: Arc<Clients>,
    counters: Arc<Counters>,
    vitals: Arc<Vitals>,
    control: Arc<TaskQueue>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    datagrams: Vec<(SocketAddr, Box<[u8]>)>,
    bytes: usize,
    /// Somebody comes for them.
    is_queued: bool,
}

impl RtcpInbox {
    /// For what `clients` say, which is heard on `control`.
    pub fn new(
        clients: Arc<Clients>,
        counters: Arc<Counters>,
        vitals: Arc<Vitals>,
        control: Arc<TaskQueue>,
    ) -> Arc<Self> {
        Arc::new(Self { clients, counters, vitals, control, waiting: Mutex::default() })
    }

    /// Leaves a datagram here.
    pub fn put(self: &Arc<Self>, from: SocketAddr, datagram: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if waiting.datagrams.len() >= MOST_WAITING || waiting.bytes + datagram.len() > MOST_BYTES {
            drop(waiting);
            return self.counters.rtcp_refused("full");
        }
        waiting.bytes += datagram.len();
        waiting.datagrams.push((from, datagram.into()));
        if !mem::replace(&mut waiting.is_queued, true) {
            drop(waiting);
            self.control.push(Task::new("HearReports", self.clone()));
        }
    }

    fn hear(&self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.vitals.may_fault("reports", String::new);
        // Who leaves may have been here before whoever is looked for now.
        let teaches = !rtcp::says_goodbye(datagram);
        let client = match self.clients.hear(Port::Rtcp, from, teaches, now) {
            Voice::Known(client) => client,
            Voice::Learnt(learnt) => {
                learnt.tell(now);
                learnt.client
            }
            Voice::Unsure => return,
            Voice::Stranger => return self.counters.rtcp_stranger(),
        };
        client.taker.hear(client.track, from, datagram, now);
    }
}

impl RtcpInbox {
    /// What has come meanwhile is heard by another run: there is one at a time, so that all is heard in its order.
    fn go_on(self: Arc<Self>) {
        let mut waiting = lock(&self.waiting);
        waiting.is_queued = !waiting.datagrams.is_empty();
        if waiting.is_queued {
            drop(waiting);
            self.control.clone().push(Task::new("HearReports", self));
        }
    }
}

impl Work for RtcpInbox {
    fn run(self: Arc<Self>) {
        let datagrams = {
            let mut waiting = lock(&self.waiting);
            waiting.bytes = 0;
            mem::take(&mut waiting.datagrams)
        };
        let now = clock::now();
        datagrams.iter().for_each(|(from, datagram)| self.hear(*from, datagram, now));
        self.go_on();
    }

    /// What was left of those it had taken is lost.
    fn close(self: Arc<Self>) {
        self.vitals.fault("reports");
        self.go_on();
    }
}

//! The RtcpReceiver: reads what subscribers send to a pair's RTCP socket, told apart by address.
//!
//! Receiver reports are signs of life and tell loss and jitter; BYE is obeyed; strangers are counted.

use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, Vitals, Work, clock};
use crate::net::{Datagram, ReceiveBatch};

use super::port_pairs::Clients;
use super::stats::Counters;

/// Datagrams per `recvmmsg`.
const BATCH: usize = 16;
/// Batches per task: a flood goes to the queue's tail after this many.
const BATCHES_PER_TASK: usize = 8;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// The consumer behind a pair's RTCP socket.
pub(super) struct RtcpReceiver {
    socket: Arc<UdpSocket>,
    clients: Arc<Clients>,
    counters: Arc<Counters>,
    vitals: Arc<Vitals>,
    key: OnceLock<PollKey>,
}

impl RtcpReceiver {
    /// Registers the socket for reading. Control, not media: reports never delay packets.
    pub fn open(
        socket: Arc<UdpSocket>,
        clients: Arc<Clients>,
        counters: Arc<Counters>,
        poller: &Poller,
    ) -> io::Result<Arc<Self>> {
        let (vitals, key) = (poller.vitals().clone(), OnceLock::new());
        let receiver = Arc::new(Self { socket: socket.clone(), clients, counters, vitals, key });
        let key = poller.register(Class::Control, socket, receiver.clone())?;
        receiver.key.get_or_init(|| key).enable(Interest::Read)?;
        Ok(receiver)
    }

    /// Reads no more.
    pub fn shut(&self) {
        self.key.get().into_iter().for_each(PollKey::unregister);
    }

    fn hear(&self, datagram: &Datagram<'_>, now: Instant) {
        self.vitals.may_fault("reports", String::new);
        let Some(client) = self.clients.find(datagram.source) else {
            return self.counters.rtcp_stranger();
        };
        let Some(session) = client.session.upgrade() else { return };
        if session.hear(client.track, datagram.payload, &self.counters, now) {
            session.finish("goodbye");
        }
    }
}

impl PollEventConsumer for RtcpReceiver {
    fn create_task(self: Arc<Self>, event: Event) -> Option<Task> {
        Some(Task::new("ReceiveReports", Arc::new(ReceiveReports { receiver: self, key: event.key })))
    }

    fn close(self: Arc<Self>) {
        self.vitals.fault("reports");
        if let Some(key) = self.key.get() {
            key.resume(Interest::Read);
        }
    }
}

struct ReceiveReports {
    receiver: Arc<RtcpReceiver>,
    key: PollKey,
}

impl Work for ReceiveReports {
    fn run(self: Arc<Self>) {
        let receiver = &self.receiver;
        BUFFERS.with_borrow_mut(|batch| {
            for _ in 0..BATCHES_PER_TASK {
                let received = batch.receive(&receiver.socket).unwrap_or(0);
                let now = clock::now();
                batch.datagrams().for_each(|datagram| receiver.hear(&datagram, now));
                if received < batch.capacity() {
                    break;
                }
            }
        });
        self.key.resume(Interest::Read);
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self.receiver.clone());
    }
}

//! The RtcpReceiver: reads what subscribers send to a shared port pair, told apart by address.
//!
//! Receiver reports are signs of life and tell loss and jitter; BYE is obeyed; strangers are counted. What
//! comes to the RTP port (some clients open their firewall that way) is read and dropped.

use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use crate::event::{Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, Work, clock};
use crate::net::{Datagram, ReceiveBatch};
use crate::wire::rtcp;

use super::port_pairs::Clients;
use super::stats::Counters;

/// Datagrams per `recvmmsg`.
const BATCH: usize = 16;
/// Batches per task: a flood goes to the queue's tail after this many.
const BATCHES_PER_TASK: usize = 8;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// One consumer behind both sockets of a pair.
pub(super) struct RtcpReceiver {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    clients: Arc<Clients>,
    counters: Arc<Counters>,
    keys: OnceLock<[PollKey; 2]>,
}

impl RtcpReceiver {
    /// Registers both sockets for reading. Control, not media: reports never delay packets.
    pub fn open(
        (rtp, rtcp): (UdpSocket, UdpSocket),
        clients: Arc<Clients>,
        counters: Arc<Counters>,
        poller: &Poller,
    ) -> io::Result<Arc<Self>> {
        let receiver = Arc::new(Self { rtp, rtcp, clients, counters, keys: OnceLock::new() });
        let rtp_side = Arc::new(Side { receiver: receiver.clone(), is_rtcp: false });
        let rtcp_side = Arc::new(Side { receiver: receiver.clone(), is_rtcp: true });
        let rtp_key = poller.register(Class::Control, rtp_side, receiver.clone())?;
        let rtcp_key = poller
            .register(Class::Control, rtcp_side, receiver.clone())
            .inspect_err(|_| rtp_key.unregister())?;
        for key in receiver.keys.get_or_init(|| [rtp_key, rtcp_key]) {
            key.enable(Interest::Read);
        }
        Ok(receiver)
    }

    /// Reads no more.
    pub fn shut(&self) {
        self.keys.get().into_iter().flatten().for_each(PollKey::unregister);
    }

    fn hear(&self, datagram: &Datagram<'_>) {
        let Some(client) = self.clients.find(datagram.source) else {
            return self.counters.rtcp_stranger();
        };
        let Some(session) = client.session.upgrade() else { return };
        match rtcp::feedback(datagram.payload) {
            Ok(feedback) => {
                self.counters.rtcp_report();
                if session.hear(client.track, &feedback, clock::now()) {
                    session.finish("goodbye");
                }
            }
            Err(reason) => self.counters.rtcp_refused(reason),
        }
    }
}

impl PollEventConsumer for RtcpReceiver {
    fn create_task(self: Arc<Self>, event: Event) -> Option<Task> {
        let is_rtcp = self.keys.get().is_some_and(|[_, rtcp]| rtcp.same(&event.key));
        Some(Task::new(
            "ReceiveReports",
            Arc::new(ReceiveReports { receiver: self, key: event.key, is_rtcp }),
        ))
    }

    fn close(self: Arc<Self>) {
        tracing::error!("a port pair reads no reports any more after a fault");
        self.shut();
    }
}

struct ReceiveReports {
    receiver: Arc<RtcpReceiver>,
    key: PollKey,
    is_rtcp: bool,
}

impl Work for ReceiveReports {
    fn run(self: Arc<Self>) {
        let Self { receiver, key, is_rtcp } = &*self;
        let socket = if *is_rtcp { &receiver.rtcp } else { &receiver.rtp };
        BUFFERS.with_borrow_mut(|batch| {
            for _ in 0..BATCHES_PER_TASK {
                let received = batch.receive(socket).unwrap_or(0);
                if *is_rtcp {
                    batch.datagrams().for_each(|datagram| receiver.hear(&datagram));
                }
                if received < batch.capacity() {
                    break;
                }
            }
        });
        key.resume(Interest::Read);
    }

    fn close(self: Arc<Self>) {
        PollEventConsumer::close(self.receiver.clone());
    }
}

/// One of the two descriptors that the consumer owns.
struct Side {
    receiver: Arc<RtcpReceiver>,
    is_rtcp: bool,
}

impl AsFd for Side {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.is_rtcp { self.receiver.rtcp.as_fd() } else { self.receiver.rtp.as_fd() }
    }
}

//! The RtcpReceiver: reads what subscribers send to a pair's RTCP socket.
//!
//! What they ask for again is answered right here, on a thread of media: it is of no use later. All else that they say waits
//! for control. Where some ask it looks again a little later instead of for each.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::event::{
    Class, Event, Interest, PollEventConsumer, PollKey, Poller, Task, Timers, Vitals, Work, clock,
};
use crate::net::ReceiveBatch;
use crate::wire::rtcp;

use super::super::stats::Counters;
use super::askers::Askers;
use super::clients::Clients;
use super::rtcp_inbox::RtcpInbox;

/// Datagrams per `recvmmsg`.
const BATCH: usize = 16;
/// Batches per task: a flood goes to the queue's tail after this many.
const BATCHES_PER_TASK: usize = 4;
/// Those who have lost something ask one by one: so many as come within this are answered together.
const REST: Duration = Duration::from_millis(1);
/// Where nothing but errors comes, it is looked again after this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// After so many looks in a row, over some ten seconds, the socket is given up.
const MOST_FAILURES: u32 = 20;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// What a look at the socket leads to.
enum Look {
    /// There was nothing but errors.
    Failed,
    /// It is looked again when something comes.
    Done,
    /// Some ask, and more of them will: it is looked again soon.
    Asked,
}

/// The consumer behind a pair's RTCP socket.
pub struct RtcpReceiver {
    socket: Arc<UdpSocket>,
    askers: Arc<Askers>,
    inbox: Arc<RtcpInbox>,
    counters: Arc<Counters>,
    vitals: Arc<Vitals>,
    timers: Arc<Timers>,
    /// Looks in a row that found nothing but errors.
    failures: AtomicU32,
    key: OnceLock<PollKey>,
}

impl RtcpReceiver {
    /// Registers the socket for reading.
    pub fn open(
        socket: Arc<UdpSocket>,
        (clients, askers): (Arc<Clients>, Arc<Askers>),
        counters: Arc<Counters>,
        (poller, timers): (&Poller, &Arc<Timers>),
    ) -> io::Result<Arc<Self>> {
        let (vitals, control) = (poller.vitals().clone(), poller.queue(Class::Control).clone());
        let inbox = RtcpInbox::new(clients, counters.clone(), vitals.clone(), control);
        let receiver = Arc::new(Self {
            socket: socket.clone(),
            askers,
            inbox,
            counters,
            vitals,
            timers: timers.clone(),
            failures: AtomicU32::new(0),
            key: OnceLock::new(),
        });
        let key = poller.register(Class::Media, socket, receiver.clone())?;
        receiver.key.get_or_init(|| key).enable(Interest::Read)?;
        Ok(receiver)
    }

    /// Reads no more.
    pub fn shut(&self) {
        self.key.get().into_iter().for_each(PollKey::unregister);
    }

    fn resume(&self) {
        if let Some(key) = self.key.get() {
            key.resume(Interest::Read);
        }
    }

    /// Empties the socket, unless it is flooded.
    fn receive(&self, batch: &mut ReceiveBatch) -> Look {
        let (mut came, mut asked) = (false, false);
        for _ in 0..BATCHES_PER_TASK {
            let received = match batch.receive(&self.socket) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // The next call tells what is behind it: an error of the kernel's is told once.
                Err(_) => {
                    self.counters.rtcp_refused("receive_error");
                    continue;
                }
            };
            let now = clock::now();
            for datagram in batch.datagrams() {
                asked |= self.take(datagram.source, datagram.payload, now);
            }
            if received < batch.capacity() {
                return if asked { Look::Asked } else { Look::Done };
            }
            came = true;
        }
        if came { Look::Done } else { Look::Failed }
    }

    /// Whether one who may asks for something.
    fn take(&self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        let mut nacks = rtcp::nacks(datagram).peekable();
        let asker = nacks.peek().and_then(|_| self.askers.find(from, now));
        if let Some((repair, _)) = &asker {
            repair.answer(nacks, now);
        }
        let says_no_more = asker.as_ref().is_some_and(|(_, is_sign)| !is_sign) && rtcp::is_of_nacks(datagram);
        if !says_no_more {
            self.inbox.put(from, datagram);
        }
        asker.is_some()
    }
}

impl PollEventConsumer for RtcpReceiver {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        Some(Task::new("ReceiveReports", self))
    }

    fn close(self: Arc<Self>) {
        self.resume();
    }
}

impl Work for RtcpReceiver {
    fn run(self: Arc<Self>) {
        let look = BUFFERS.with_borrow_mut(|batch| self.receive(batch));
        if !matches!(look, Look::Failed) {
            self.failures.store(0, Relaxed);
        } else if self.failures.fetch_add(1, Relaxed) >= MOST_FAILURES {
            // Viewers' signs of life would be heard no more, and their sessions end one after the other.
            self.vitals.give_up("a socket of viewers' reports only fails".to_owned());
        }
        let wait = match look {
            Look::Done => return self.resume(),
            Look::Asked => REST,
            Look::Failed => RETRY_AFTER,
        };
        let again = Task::new("ReceiveReports", self.clone());
        self.timers.at(clock::now() + wait, again);
    }

    fn close(self: Arc<Self>) {
        self.vitals.fault("reports");
        self.resume();
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::latches::Learning;
    use super::*;
    use crate::event::TaskQueue;
    use nix::sys::eventfd::EventFd;
    use std::os::fd::OwnedFd;

    /// What is always readable and is no socket.
    fn broken() -> Arc<UdpSocket> {
        Arc::new(UdpSocket::from(OwnedFd::from(EventFd::from_value(1).expect("a descriptor"))))
    }

    #[test]
    fn a_socket_that_only_fails_is_left_alone_for_a_while_and_given_up_in_the_end() {
        let queue = TaskQueue::start("t-reports", 1).expect("a thread");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let timers = Timers::start(&poller, Class::Control).expect("a timer");
        let (clients, counters) = (Clients::new(Learning::Off), Arc::<Counters>::default());
        let clients = (clients, Arc::default());
        let began = clock::now();
        let receiver =
            RtcpReceiver::open(broken(), clients, counters.clone(), (&poller, &timers)).expect("registered");
        let errors = || counters.read(0).rtcp_refused.get("receive_error").copied().unwrap_or(0);
        let of_three_tasks = 3 * BATCHES_PER_TASK as u64;
        while errors() < of_three_tasks && began.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        assert!(errors() >= of_three_tasks, "it is tried again");
        assert!(began.elapsed() >= 2 * RETRY_AFTER, "after a while");
        assert_eq!(poller.vitals().given_up(), None);
        while poller.vitals().given_up().is_none() && began.elapsed() < Duration::from_secs(40) {
            std::thread::sleep(RETRY_AFTER / 10);
        }
        assert!(poller.vitals().given_up().is_some(), "nobody would be heard any more: the program ends");
        receiver.shut();
        poller.stop();
        timers.stop();
        queue.stop();
    }
}

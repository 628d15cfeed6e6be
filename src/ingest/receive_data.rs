//! ReceiveData: empties a receive socket into the rings.
//!
//! It runs on the PollTable's own thread: a few microseconds of copying are less than handing the socket to
//! a worker and back (docs/performance.md has both measured). The fan-out that follows is the workers'.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::clock;
use crate::net::{Datagram, ReceiveBatch};
use crate::relay::{Flow, Track};
use crate::wire::rtp::{self, NotRtp};

use super::routes::{Kind, Routes};
use super::rtp_receiver::RtpReceiver;

/// Datagrams per `recvmmsg`.
const BATCH: usize = 32;
/// Batches per event: after this many, a flooded socket lets the other descriptors of its table go first.
const BATCHES_PER_EVENT: usize = 4;

/// The longest time that a datagram is taken to have waited in the socket's queue.
const MAX_QUEUED: Duration = Duration::from_millis(100);

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// Takes what has arrived at the receiver's socket. `true`: there was something, and that was all.
pub(super) fn receive_data(receiver: &RtpReceiver) -> bool {
    BUFFERS.with_borrow_mut(|batch| {
        let mut any = false;
        for _ in 0..BATCHES_PER_EVENT {
            match batch.receive(&*receiver.socket) {
                Ok(count) => {
                    take(receiver, batch);
                    any = true;
                    if count < batch.capacity() {
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return any,
                Err(error) => {
                    tracing::debug!(port = receiver.port, %error, "receiving failed");
                    return false;
                }
            }
        }
        false
    })
}

/// Puts a batch into the rings, then kicks each flow that got something, once.
fn take(receiver: &RtpReceiver, batch: &ReceiveBatch) {
    let arrivals = Arrivals { now: clock::now(), unix_now: clock::unix_now() };
    let routes = receiver.current_routes();
    let mut touched: Vec<(Arc<Flow>, Instant)> = Vec::new();
    let mut overflow = None;
    for datagram in batch.datagrams() {
        overflow = datagram.overflow.or(overflow);
        let at = arrivals.of(&datagram);
        match deliver(receiver, &routes, &datagram, at) {
            Delivery::To(flow) if touched.iter().any(|(known, _)| Arc::ptr_eq(known, &flow)) => {}
            Delivery::To(flow) => touched.push((flow, at)),
            Delivery::Stray => receiver.count_stray(),
            Delivery::Refused => {}
        }
    }
    touched.iter().for_each(|(flow, at)| flow.kick(*at, arrivals.now));
    if let Some(total) = overflow {
        receiver.count_overflow(total);
    }
}

/// Turns the kernel's stamps of arrival into instants: both clocks were read together.
struct Arrivals {
    now: Instant,
    unix_now: Duration,
}

impl Arrivals {
    /// A wall clock that was set meanwhile is believed for no more than [`MAX_QUEUED`].
    fn of(&self, datagram: &Datagram<'_>) -> Instant {
        let queued = datagram.received_at.map(|at| self.unix_now.saturating_sub(at));
        self.now - queued.unwrap_or_default().min(MAX_QUEUED)
    }
}

enum Delivery {
    To(Arc<Flow>),
    Stray,
    Refused,
}

fn deliver(receiver: &RtpReceiver, routes: &Routes, datagram: &Datagram<'_>, at: Instant) -> Delivery {
    let route = routes.find(datagram.destination, datagram.source.ip());
    let Some(route) = route.filter(|_| receiver.hears(datagram.interface)) else {
        return Delivery::Stray;
    };
    let track = &route.track;
    let rtcp = |track: &Track| {
        if track.receive_rtcp(datagram.payload, at) {
            Delivery::To(track.rtcp.clone())
        } else {
            Delivery::Refused
        }
    };
    match (route.kind, rtp::check(datagram.payload)) {
        (Kind::Rtcp, _) => rtcp(track),
        (Kind::Rtp, Ok(header)) => {
            track.receive(&header, datagram.payload, at);
            Delivery::To(track.rtp.clone())
        }
        (Kind::Rtp, Err(NotRtp::Rtcp)) if track.is_muxed() => rtcp(track),
        (Kind::Rtp, Err(reason)) => {
            track.refuse(reason);
            Delivery::Refused
        }
    }
}

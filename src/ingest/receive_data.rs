//! ReceiveData: empties a receive socket into the rings.
//!
//! It runs on the PollTable's own thread: a few microseconds of copying are less than handing the socket to
//! a worker and back (docs/performance.md has both measured). The fan-out that follows is the workers'.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Instant;

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

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// Takes what has arrived at the receiver's socket.
pub(super) fn receive_data(receiver: &RtpReceiver) {
    BUFFERS.with_borrow_mut(|batch| {
        for _ in 0..BATCHES_PER_EVENT {
            match batch.receive(&*receiver.socket) {
                Ok(count) => {
                    take(receiver, batch);
                    if count < batch.capacity() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::debug!(port = receiver.port, %error, "receiving failed");
                    break;
                }
            }
        }
    });
}

/// Puts a batch into the rings, then kicks each flow that got something, once.
fn take(receiver: &RtpReceiver, batch: &ReceiveBatch) {
    let now = clock::now();
    let routes = receiver.current_routes();
    let mut touched: Vec<Arc<Flow>> = Vec::new();
    let mut overflow = None;
    for datagram in batch.datagrams() {
        overflow = datagram.overflow.or(overflow);
        match deliver(&routes, &datagram, now) {
            Delivery::To(flow) if touched.iter().any(|known| Arc::ptr_eq(known, &flow)) => {}
            Delivery::To(flow) => touched.push(flow),
            Delivery::Stray => receiver.count_stray(),
            Delivery::Refused => {}
        }
    }
    touched.iter().for_each(|flow| flow.kick(now));
    if let Some(total) = overflow {
        receiver.count_overflow(total);
    }
}

enum Delivery {
    To(Arc<Flow>),
    Stray,
    Refused,
}

fn deliver(routes: &Routes, datagram: &Datagram<'_>, now: Instant) -> Delivery {
    let Some(route) = routes.find(datagram.destination, datagram.source.ip()) else {
        return Delivery::Stray;
    };
    let track = &route.track;
    let rtcp = |track: &Track| {
        if track.receive_rtcp(datagram.payload, now) {
            Delivery::To(track.rtcp.clone())
        } else {
            Delivery::Refused
        }
    };
    match (route.kind, rtp::check(datagram.payload)) {
        (Kind::Rtcp, _) => rtcp(track),
        (Kind::Rtp, Ok(header)) => {
            track.receive(&header, datagram.payload, now);
            Delivery::To(track.rtp.clone())
        }
        (Kind::Rtp, Err(NotRtp::Rtcp)) if track.is_muxed() => rtcp(track),
        (Kind::Rtp, Err(reason)) => {
            track.refuse(reason);
            Delivery::Refused
        }
    }
}

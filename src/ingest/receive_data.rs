//! ReceiveData: empties a receive socket into the rings.
//!
//! It runs on the PollTable's own thread: a few microseconds of copying are less than handing the socket to
//! a worker and back (docs/performance.md has both measured). The fan-out that follows is the workers'.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::event::{Vitals, clock};
use crate::net::{Datagram, ReceiveBatch};
use crate::relay::{Flow, Track};
use crate::wire::rtp::{self, NotRtp};

use super::arrivals::Arrivals;
use super::routes::{Kind, Routes};
use super::rtp_receiver::RtpReceiver;

/// Messages per `recvmmsg`.
const BATCH: usize = 32;
/// Batches of one socket at a time: after this many, a flooded one lets the others go first.
const BATCHES_PER_TURN: usize = 4;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

/// What was received, and whose lanes are to be told of it.
#[derive(Default)]
pub(super) struct Intaken {
    /// Messages that were received.
    pub messages: usize,
    flows: Vec<Arc<Flow>>,
}

/// How much of what had arrived at a socket was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gave {
    /// Nothing had.
    Nothing,
    /// All of it.
    All,
    /// As much as one turn takes.
    Some,
}

/// Tells the lanes, also after a fault: a flow that was touched and never told is never told again.
impl Drop for Intaken {
    fn drop(&mut self) {
        self.flows.iter().for_each(|flow| flow.tell());
    }
}

impl Intaken {
    /// Takes what has arrived at the receiver's socket.
    pub fn take(&mut self, receiver: &RtpReceiver, arrivals: &mut Arrivals, vitals: &Vitals) -> Gave {
        BUFFERS.with_borrow_mut(|batch| {
            let mut gave = Gave::Nothing;
            for _ in 0..BATCHES_PER_TURN {
                match batch.receive(&*receiver.socket) {
                    Ok(count) => {
                        self.messages += count;
                        receiver.forget_errors();
                        vitals.may_fault("receiver", || receiver.port.to_string());
                        self.route(receiver, batch, arrivals);
                        gave = Gave::All;
                        if count < batch.capacity() {
                            return gave;
                        }
                    }
                    Err(error) => {
                        if error.kind() != io::ErrorKind::WouldBlock {
                            receiver.count_error(&error);
                        }
                        return gave;
                    }
                }
            }
            Gave::Some
        })
    }

    fn route(&mut self, receiver: &RtpReceiver, batch: &ReceiveBatch, arrivals: &mut Arrivals) {
        arrivals.read_clocks(clock::now(), clock::unix_now());
        let routes = receiver.current_routes();
        let mut overflow = None;
        for datagram in batch.datagrams() {
            overflow = datagram.overflow.or(overflow);
            let at = arrivals.of(datagram.received_at);
            match deliver(receiver, &routes, &datagram, at) {
                Delivery::To(flow) if flow.touch() => self.flows.push(flow.clone()),
                Delivery::Stray => receiver.count_stray(),
                Delivery::To(_) | Delivery::Refused => {}
            }
        }
        if let Some(total) = overflow {
            receiver.count_overflow(total);
        }
    }
}

enum Delivery<'a> {
    To(&'a Arc<Flow>),
    Stray,
    Refused,
}

fn deliver<'r>(
    receiver: &RtpReceiver,
    routes: &'r Routes,
    datagram: &Datagram<'_>,
    at: Instant,
) -> Delivery<'r> {
    let route = routes.find(datagram.destination, datagram.source.ip());
    let Some(route) = route.filter(|_| receiver.hears(datagram.interface)) else {
        return Delivery::Stray;
    };
    let track = &route.track;
    let rtcp = |track: &'r Track| {
        if track.receive_rtcp(datagram.payload, at) { Delivery::To(&track.rtcp) } else { Delivery::Refused }
    };
    match (route.kind, rtp::check(datagram.payload)) {
        (Kind::Rtcp, _) => rtcp(track),
        (Kind::Rtp, Ok(header)) => {
            let taken = track.receive(&header, datagram.payload, at);
            if taken { Delivery::To(&track.rtp) } else { Delivery::Refused }
        }
        (Kind::Rtp, Err(NotRtp::Rtcp)) if track.is_muxed() => rtcp(track),
        (Kind::Rtp, Err(reason)) => {
            track.refuse(reason, datagram.payload, at);
            Delivery::Refused
        }
    }
}

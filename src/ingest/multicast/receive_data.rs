//! ReceiveData: empties a receive socket into the rings.
//!
//! It runs on the PollTable's own thread: a few microseconds of copying are less than handing the socket to
//! a worker and back (docs/performance.md has both measured). The fan-out that follows is the workers'.

use std::cell::RefCell;
use std::io;

use crate::event::{Vitals, clock};
use crate::net::{Datagram, ReceiveBatch};
use crate::wire::rtcp;

use super::super::arrivals::{Arrivals, Came};
use super::super::touched::Touched;
use super::routes::{Owner, Routes};
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
    touched: Touched,
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
            let came = arrivals.of(datagram.received_at);
            if !self.deliver(receiver, &routes, &datagram, came) {
                receiver.count_stray();
            }
        }
        if receiver.heard.is_asked() {
            receiver
                .heard
                .note(batch.datagrams().map(|datagram| (datagram.destination, datagram.source.ip())));
        }
        if let Some(total) = overflow {
            receiver.count_overflow(total);
        }
    }

    /// Hands a datagram to whose it is. `false`: nobody asked for it.
    fn deliver(
        &mut self,
        receiver: &RtpReceiver,
        routes: &Routes,
        datagram: &Datagram<'_>,
        came: Came,
    ) -> bool {
        let Datagram { source, payload, .. } = *datagram;
        if !receiver.hears(datagram.interface) {
            return false;
        }
        match routes.find(datagram.destination, source.ip(), payload) {
            Some(Owner::Media(leg)) => {
                if leg.receive(payload, source, came) {
                    self.touched.note(&leg.track.rtp);
                }
            }
            Some(Owner::Rtcp(legs)) => match rtcp::reflectable(payload) {
                Ok(Some(reflectable)) => legs.iter().for_each(|leg| {
                    if leg.receive_rtcp(&reflectable, came) {
                        self.touched.note(&leg.track.rtcp);
                    }
                }),
                Ok(None) => {}
                Err(reason) => {
                    legs.iter().take(1).for_each(|first| first.track.refuse_rtcp(reason, payload, came.at))
                }
            },
            None => return false,
        }
        true
    }
}

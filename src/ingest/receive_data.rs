//! ReceiveData: the task that empties a receive socket into the rings.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::event::{Task, Work, clock};
use crate::net::{Datagram, ReceiveBatch};
use crate::relay::Flow;
use crate::wire::rtp::{self, NotRtp};

use super::routes::{Kind, Routes};
use super::rtp_receiver::RtpReceiver;

/// Datagrams per `recvmmsg`.
const BATCH: usize = 32;
/// Batches per task: a flooded socket goes to the queue's tail after this many, so none starves.
const BATCHES_PER_TASK: usize = 8;

thread_local! {
    static BUFFERS: RefCell<ReceiveBatch> = RefCell::new(ReceiveBatch::new(BATCH));
}

pub(super) struct ReceiveData(Arc<RtpReceiver>);

impl ReceiveData {
    pub fn task(receiver: Arc<RtpReceiver>) -> Task {
        Task::new("ReceiveData", Arc::new(Self(receiver)))
    }
}

impl Work for ReceiveData {
    fn run(self: Arc<Self>) {
        let receiver = &self.0;
        BUFFERS.with_borrow_mut(|batch| {
            for _ in 0..BATCHES_PER_TASK {
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
        receiver.resume();
    }

    fn close(self: Arc<Self>) {
        crate::event::PollEventConsumer::close(self.0.clone());
    }
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
            Delivery::Stray(destination) => receiver.count_stray(destination),
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
    Stray(IpAddr),
    Refused,
}

fn deliver(routes: &Routes, datagram: &Datagram<'_>, now: Instant) -> Delivery {
    let Some(route) = routes.find(datagram.destination, datagram.source.ip()) else {
        return Delivery::Stray(datagram.destination);
    };
    let track = &route.track;
    let rtcp = |track: &crate::relay::Track| {
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

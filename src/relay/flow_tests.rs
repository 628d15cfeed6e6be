//! Who waits to be told where to begin, while the lane runs.

use super::*;
use crate::event::Work;
use crate::relay::rig::{self, ROOMY, packet};
use std::net::{Ipv4Addr, UdpSocket};

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[test]
fn a_place_told_in_the_middle_of_a_round_has_a_round_after_it() {
    const CROWD: usize = 1500; // more than one run serves
    let flow = rig::flow(ROOMY);
    let server = ServerSocket::growing(socket().0).expect("a socket that sends");
    let ((_crowd, crowd), (heir, at), handover) = (socket(), socket(), Handover::new());
    let subscribe =
        |at, from: Place| flow.subscribe_datagrams(Carriage::Udp, (&server, at), from, Arc::new(()), None);
    let subscriptions: Vec<_> = (0..CROWD).map(|_| subscribe(crowd, 0.into())).collect();
    let _waits = subscribe(at, Place::After(handover.clone()));
    flow.push([packet(0, 100)]);
    let lane = subscriptions[0].lane.clone();
    lane.clone().run();
    handover.tell(0);
    lane.clone().run();
    assert_eq!(heir.recv(&mut [0; 200]).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    assert!(lane.is_queued(), "though nothing more has come");
    lane.run();
    assert_eq!(heir.recv(&mut [0; 200]).ok(), Some(100));
}

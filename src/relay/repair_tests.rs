//! What is sent again, and what is not. It knows no client but a socket.

use super::*;
use crate::event::clock;
use crate::net::Marks;
use crate::relay::rig::{ROOMY, by_hand};
use crate::relay::{Carriage, Coalesce, Outward, Packet, Place, Subscription};
use crate::wire::rtcp;
use crate::wire::rtp;
use std::cell::RefCell;
use std::net::{Ipv4Addr, UdpSocket};

const SSRC: u32 = 7;
const VIEWER: u32 = 9;

/// A track of which some packets have come, and a viewer of it.
struct Scene {
    flow: Arc<Flow>,
    socket: Arc<ServerSocket>,
    viewer: UdpSocket,
    /// Of lanes that have sent all that came before.
    lanes: RefCell<Vec<Subscription>>,
    now: Instant,
}

fn packet(sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[0x80, 33, high, low, 0, 0, 0, 1, 0, 0, 0, SSRC as u8][..], &[low; 1000]].concat()
}

fn nack(sender: u32, media: u32, words: &[(u16, u16)]) -> Vec<u8> {
    let mut nack = vec![0x81, 205, 0, 2 + words.len() as u8];
    nack.extend([sender.to_be_bytes(), media.to_be_bytes()].as_flattened());
    words
        .iter()
        .for_each(|(first, others)| nack.extend([first.to_be_bytes(), others.to_be_bytes()].as_flattened()));
    nack
}

impl Scene {
    /// These have come.
    fn of(sequences: impl Iterator<Item = u16>) -> Self {
        let outward = Outward::new("news", Marks::default(), 20);
        let flow = Flow::new(&outward, ROOMY, Coalesce::Auto, by_hand());
        let now = clock::now();
        flow.push(sequences.map(|sequence| Packet {
            data: packet(sequence).into(),
            sequence,
            timestamp: 1,
            arrived_at: now,
        }));
        let open = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            socket.set_nonblocking(true).expect("a flag");
            socket
        };
        let socket = ServerSocket::growing(open()).expect("a socket that sends");
        // The budget of all has something in it once time has passed.
        Self {
            flow,
            socket,
            viewer: open(),
            lanes: RefCell::default(),
            now: now + Duration::from_millis(100),
        }
    }

    fn repair(&self, since: u64, rtx: Option<Rtx>) -> Arc<Repair> {
        let to = self.viewer.local_addr().expect("bound");
        let (at, from) = ((&self.socket, to), Place::At(since.into()));
        let subscription = self.flow.subscribe_datagrams(Carriage::Udp, at, from.clone(), Arc::new(()), None);
        let so_far = (since, None, subscription.reach(&from));
        self.lanes.borrow_mut().push(subscription);
        let to = RepairTo { socket: self.socket.clone(), at: to, reservation: Arc::new(()) };
        Repair::new(&self.flow, to, so_far, rtx, None)
    }

    fn ask(&self, repair: &Repair, nack: &[u8]) {
        repair.answer(rtcp::nacks(nack), self.now);
    }

    fn received(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2000];
        let receive = || self.viewer.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
        std::iter::from_fn(receive).collect()
    }

    fn refused(&self, reason: RepairRefusal) -> u64 {
        self.flow.repaired().refused[reason as usize]
    }
}

#[test]
fn what_is_there_is_sent_again_as_it_was_and_what_is_not_is_counted() {
    let scene = Scene::of((65_530..=65_535).chain(0..200).filter(|sequence| *sequence != 3));
    let repair = scene.repair(1, None);
    scene.ask(&repair, &nack(VIEWER, SSRC, &[(65_535, 0b1011), (0xfffa, 0), (500, 0)]));
    assert_eq!(scene.received(), [65_535, 0, 1].map(packet));
    let totals = scene.flow.repaired();
    assert_eq!((totals.asked, totals.repaired, totals.not_held), (6, 3, 2), "before its first, and a gap");
    assert_eq!(totals.bytes, 3 * 1012);
}

#[test]
fn what_was_not_sent_yet_was_not_lost_and_costs_nothing() {
    let scene = Scene::of(0..100);
    let repair = scene.repair(0, None);
    scene.flow.push((100..110).map(|sequence| Packet {
        data: packet(sequence).into(),
        sequence,
        timestamp: 1,
        arrived_at: scene.now,
    }));
    scene.ask(&repair, &nack(VIEWER, SSRC, &[(99, 0xffff), (30_000, 0xffff)]));
    assert_eq!((scene.received(), scene.refused(RepairRefusal::Early)), (vec![packet(99)], 16 + 17));
}

#[test]
fn to_who_takes_it_so_it_goes_as_a_stream_of_its_own() {
    let scene = Scene::of(0..100);
    let repair = scene.repair(0, Some(Rtx::new(97, Some(0xbeef), 65_535)));
    scene.ask(&repair, &nack(VIEWER, SSRC, &[(7, 1)]));
    let received = scene.received();
    let headers: Vec<_> = received.iter().map(|packet| rtp::check(packet).expect("RTP")).collect();
    assert_eq!(headers.iter().map(|header| header.sequence).collect::<Vec<_>>(), [65_535, 0]);
    assert!(headers.iter().all(|header| (header.ssrc, header.payload_type) == (0xbeef, 97)));
    assert_eq!(received[1][12..], [&[0, 8][..], &packet(8)[12..]].concat());
}

#[test]
fn who_is_not_the_viewer_or_asks_for_another_stream_gets_nothing() {
    let scene = Scene::of(0..100);
    let repair = scene.repair(0, None);
    scene.ask(&repair, &nack(VIEWER, SSRC + 1, &[(7, 0)]));
    assert_eq!(scene.refused(RepairRefusal::Ssrc), 1);
    repair.know(Some(VIEWER), None);
    scene.ask(&repair, &nack(VIEWER + 1, SSRC, &[(7, 0xffff)]));
    assert_eq!((scene.refused(RepairRefusal::Ssrc), scene.received().len()), (18, 0));
    scene.ask(&repair, &nack(VIEWER, SSRC, &[(7, 0)]));
    assert_eq!(scene.received(), [packet(7)]);
}

#[test]
fn many_nacks_of_one_datagram_ask_for_no_more_than_one() {
    let scene = Scene::of(0..1000);
    let repair = scene.repair(0, None);
    let foreign = nack(VIEWER, SSRC + 1, &[(0, 0xffff)]);
    let others = (1..30).flat_map(|word| nack(VIEWER, SSRC, &[(word * 17, 0xffff)]));
    scene.ask(&repair, &others.chain(foreign).collect::<Vec<_>>());
    let totals = scene.flow.repaired();
    assert_eq!((totals.asked, totals.repaired), (30 * 17, 256));
    assert_eq!(scene.refused(RepairRefusal::TooMany), 30 * 17 - 256);
}

#[test]
fn a_flood_is_sent_a_share_of_the_stream_and_nothing_twice_too_often() {
    let scene = Scene::of(0..1000);
    let repair = scene.repair(0, None);
    let words: Vec<_> = (0..50).map(|word| (word * 17, 0xffff)).collect();
    (0..20).for_each(|_| scene.ask(&repair, &nack(VIEWER, SSRC, &words)));
    let totals = scene.flow.repaired();
    assert_eq!(totals.asked, 20 * 850);
    assert!(totals.repaired <= 256 * 2, "{totals:?}");
    assert!(scene.refused(RepairRefusal::TooMany) == 20 * (850 - 256), "{totals:?}");
    assert!(scene.refused(RepairRefusal::Repeated) + scene.refused(RepairRefusal::Budget) > 0);
    let refused: u64 = totals.refused.iter().sum();
    assert_eq!(totals.asked, totals.repaired + totals.not_held + refused, "each is accounted for");
}

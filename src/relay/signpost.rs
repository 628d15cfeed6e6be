//! A Signpost: how a track's packets are numbered that are not numbered by their source alone, told by what is in them: so that
//! another process that receives the same goes on with the same numbers.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::wire::fnv1a;
use crate::wire::renumbering::Renumbering;
use crate::wire::rtp::{self, FIXED_HEADER_LEN, RtpHeader};

use super::ring::{Packet, Ring};

/// Packets that are told by: of one alone there may be several, as of a stream that is stuffed.
const PACKETS: usize = 8;
/// A stream that has paused for so long need not go on.
const FLOWS: Duration = Duration::from_secs(1);

/// At the newest packet of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signpost {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Of what is in the newest packets, the newest last.
    prints: Vec<u64>,
}

/// Who numbers packets.
pub trait Numbers: Send + Sync {
    /// Numbers otherwise from now on; `then` is done before anything else comes.
    fn renumber(&self, by: &Renumbering, then: &dyn Fn());
}

impl Signpost {
    /// That of a ring, if something has come just before.
    pub(super) fn of(ring: &Ring, now: Instant) -> Option<Self> {
        ring.newest(now, FLOWS)?;
        let packets = newest(ring, PACKETS);
        let RtpHeader { ssrc, sequence, timestamp, .. } = rtp::check(&packets.last()?.data).ok()?;
        Some(Self { ssrc, sequence, timestamp, prints: packets.iter().map(print).collect() })
    }

    /// What makes a ring's packets those that it stands at. `None`: they are not there. They are so as they are, if it changes nothing.
    pub(super) fn renumbering(&self, ring: &Ring) -> Option<Renumbering> {
        let packets = newest(ring, usize::MAX);
        // Of what it is told by, the older part may be from before the ring. It stands near the newest, if it is there.
        let stands_at = |place: &usize| {
            let here = packets[..=*place].iter().rev();
            here.zip(self.prints.iter().rev()).all(|(here, there)| print(here) == *there)
        };
        let place = (0..packets.len()).rev().find(stands_at)?;
        let from = rtp::check(&packets[place].data).ok()?;
        let (ssrc, sequence, timestamp) = (self.ssrc, self.sequence, self.timestamp);
        Some(Renumbering::from_to(&from, &RtpHeader { ssrc, sequence, timestamp, ..from }))
    }
}

fn newest(ring: &Ring, most: usize) -> Vec<Packet> {
    let mut packets = Vec::new();
    ring.packets(ring.head().saturating_sub(most as u64), usize::MAX, &mut packets);
    packets
}

/// Of all but the fixed header: what is in a packet, in any release of the program.
fn print(packet: &Packet) -> u64 {
    let content = packet.data.get(FIXED_HEADER_LEN..).unwrap_or_default();
    fnv1a::hash(content.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::super::rig::ROOMY;
    use super::*;
    use crate::event::clock;

    /// A stream of which every third packet is alike.
    fn ring(first: u8, count: u8, sequence: u16) -> Ring {
        let ring = Ring::new(ROOMY);
        ring.push((0..count).map(|place| {
            let sequence = sequence.wrapping_add(place.into());
            let content = (first + place) % 3 * (first + place);
            let head =
                [&[0x80, 33][..], &sequence.to_be_bytes(), &[0, 0, 0, 7, 0, 0, 0, sequence as u8 & 0x40]];
            let data = [&head.concat()[..], &[content; 9]].concat().into();
            Packet { data, sequence, timestamp: 7, arrived_at: clock::now() }
        }));
        ring
    }

    #[test]
    fn the_same_packets_are_found_though_others_are_like_them_and_numbered_alike_from_there() {
        let (here, there) = (ring(0, 20, 0x40), ring(12, 14, 0x1000));
        let signpost = Signpost::of(&here, clock::now()).expect("there is something");
        let by = signpost.renumbering(&there).expect("it is there, and six more are behind it");
        assert_eq!((by.sequence, by.ssrc), (0x40_u16.wrapping_sub(0x1000).wrapping_add(12), 0x40));
        assert_eq!(signpost.renumbering(&here).map(|by| (by.sequence, by.timestamp)), Some((0, 0)));
        assert_eq!(signpost.renumbering(&ring(0, 10, 0)), None, "it is to come");
        assert_eq!(Signpost::of(&Ring::new(ROOMY), clock::now()), None);
    }
}

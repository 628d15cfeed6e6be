//! A Landmark: a packet by what it says itself, which is the same in every program that receives it.

use serde::{Deserialize, Serialize};

use super::alias::Named;
use super::look_up::Found;
use super::places::RingStart;
use super::ring::Ring;

/// The packet that a viewer was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landmark {
    /// Whose it is.
    pub ssrc: u32,
    /// Its RTP sequence number.
    pub sequence: u16,
}

/// Where a viewer goes on that was sent a landmark last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    /// With the packet of this number in the ring.
    At(u64),
    /// That is to come: the ring is behind.
    ToCome,
    /// Where it would begin: what it was sent is not known here.
    Anew,
}

impl Ring {
    /// The packet before a number, if there is one.
    pub fn landmark_before(&self, number: u64) -> Option<Landmark> {
        let mut packets = Vec::new();
        let wanted = number.checked_sub(1)?;
        let first = self.packets(wanted, 1, &mut packets);
        let packet = packets.pop().filter(|_| first == wanted)?;
        let ssrc = packet.data.get(8..12)?.try_into().ok().map(u32::from_be_bytes)?;
        Some(Landmark { ssrc, sequence: packet.sequence })
    }

    /// Whose the newest packet is.
    pub(super) fn newest_ssrc(&self) -> Option<u32> {
        self.landmark_before(self.head()).map(|newest| newest.ssrc)
    }

    /// The packet of a number.
    pub fn packet(&self, number: u64) -> Option<Named> {
        self.named(self.start_at(number)?)
    }

    /// That with which one starts, which may be one of ours that goes before it.
    pub fn named(&self, RingStart { number, sequence, timestamp }: RingStart) -> Option<Named> {
        let ssrc = self.landmark_before(number + 1)?.ssrc;
        Some(Named { ssrc, sequence, timestamp })
    }

    /// Where whoever was sent that packet last goes on.
    pub fn goes_on_after(&self, landmark: Landmark) -> GoesOn {
        match self.find(landmark.ssrc, landmark.sequence) {
            Found::There { number, .. } => GoesOn::At(number + 1),
            Found::ToCome => GoesOn::ToCome,
            Found::OtherStream | Found::Nowhere => GoesOn::Anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{ROOMY, packet};
    use super::super::ring::Packet;
    use super::*;

    /// All of one stream.
    fn packets(numbers: std::ops::Range<u16>) -> impl Iterator<Item = Packet> {
        numbers.map(|number| Packet { data: vec![7; 12].into(), ..packet(number, 0) })
    }

    #[test]
    fn whoever_goes_on_elsewhere_misses_nothing_and_gets_nothing_twice() {
        let (here, there) = (Ring::new(ROOMY), Ring::new(ROOMY));
        here.push(packets(0..10));
        there.push(packets(4..8));
        let after = |number| there.goes_on_after(here.landmark_before(number).expect("it is there"));
        assert_eq!(after(6), GoesOn::At(2), "number 6, which is the third there");
        assert_eq!(after(8), GoesOn::At(4), "with the next that comes");
        assert_eq!(after(10), GoesOn::ToCome);
        assert_eq!(after(2), GoesOn::Anew);
        assert_eq!([0, 11].map(|number| here.landmark_before(number)), [None, None]);
        assert_eq!(Ring::new(ROOMY).goes_on_after(Landmark { ssrc: 1, sequence: 1 }), GoesOn::Anew);
    }
}

//! Who sends to the groups of one socket: noted only while somebody asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::event::lock;

/// Of a group; more than the kernel takes as sources of one, unless net.ipv4.igmp_max_msf was raised.
const MOST_SENDERS: usize = 10;
/// Of all groups of a socket.
const MOST_NOTED: usize = 1024;

/// Of one socket.
#[derive(Default)]
pub(super) struct Heard {
    asking: AtomicU32,
    /// By group and sender, how many datagrams.
    noted: Mutex<HashMap<(IpAddr, IpAddr), u32>>,
}

/// Somebody asks, until it is dropped.
pub(super) struct Asking(Arc<Heard>);

impl Heard {
    /// Whether somebody asks. Once for a whole batch.
    pub fn is_asked(&self) -> bool {
        self.asking.load(Relaxed) > 0
    }

    /// Datagrams came, from whom to which group.
    pub fn note(&self, datagrams: impl Iterator<Item = (IpAddr, IpAddr)>) {
        let mut noted = lock(&self.noted);
        for way in datagrams {
            if noted.len() < MOST_NOTED || noted.contains_key(&way) {
                *noted.entry(way).or_default() += 1;
            }
        }
    }

    /// Those who send most to a group.
    pub fn senders(&self, group: IpAddr) -> Vec<IpAddr> {
        let noted = lock(&self.noted);
        let mut senders: Vec<_> = noted.iter().filter(|((to, _), _)| *to == group).collect();
        senders.sort_by_key(|(way, count)| (u32::MAX - **count, **way));
        senders.into_iter().take(MOST_SENDERS).map(|((_, from), _)| *from).collect()
    }
}

impl Asking {
    /// Asks who sends to the groups of a socket from now on.
    pub fn of(heard: Arc<Heard>) -> Self {
        if heard.asking.fetch_add(1, Relaxed) == 0 {
            lock(&heard.noted).clear();
        }
        Self(heard)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn those_who_send_most_are_named_and_a_flood_of_others_is_bounded() {
        let heard = Heard::default();
        let [group, other] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(239, 77, 63, last)));
        let host = |number: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        heard.note((0..5).map(|_| (group, host(9))));
        heard.note((0..5000).map(|number| (group, host(100 + number))));
        heard.note((0..3).map(|_| (group, host(100))));
        heard.note([(other, host(7))].into_iter());
        let senders = heard.senders(group);
        assert_eq!(senders[..2], [host(9), host(100)]);
        assert_eq!(senders.len(), MOST_SENDERS);
        assert!(heard.senders(other).is_empty(), "it is full");
        assert!(lock(&heard.noted).len() <= MOST_NOTED);
        assert!(!heard.is_asked());
    }
}

//! How full the kernel's receive queues are, as metrics see it: by port, of its sockets the fullest one.

use std::collections::BTreeMap;

use crate::net::QueueFill;

use super::receivers::Receivers;

impl Receivers {
    /// By port, those that are received on now.
    pub fn queues(&self) -> BTreeMap<u16, QueueFill> {
        let receivers = self.state().receivers.clone();
        let mut fullest = BTreeMap::<u16, QueueFill>::new();
        for (port, fill) in receivers.iter().filter_map(|receiver| Some((receiver.port, receiver.fill()?))) {
            let known = fullest.entry(port).or_insert(fill);
            if fill.bytes > known.bytes {
                *known = fill;
            }
        }
        fullest
    }
}

//! The bare loop's way out over UDP: a run to all destinations of a channel by sendmmsg and UDP_SEGMENT.

use std::io::Result;

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::bare::{Batch, Options, Out};
use crate::sys::FanOut;

/// The kernel's limits of a segmented message.
const PACKETS_PER_RUN: usize = 64;
const BYTES_PER_RUN: usize = 65_507;

/// One socket for all, and the message headers of each channel's subscribers.
pub struct UdpOut {
    socket: Socket,
    channels: Vec<FanOut>,
}

impl UdpOut {
    /// One for each thread, with the headers of its subscribers prepared.
    pub fn open(options: &Options) -> Result<Vec<Self>> {
        (0..options.threads).map(|thread| Self::new(options, thread)).collect()
    }

    fn new(options: &Options, thread: usize) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        let fan_out = |channel| {
            let all = address_plan::destinations(channel, options.subscribers, options.channels);
            let served = |place: &usize| address_plan::thread_of(channel, *place, options.threads) == thread;
            let destinations: Vec<_> = (0..all.len()).filter(served).map(|place| all[place]).collect();
            FanOut::new(&destinations)
        };
        Ok(Self { socket, channels: (0..options.channels).map(fan_out).collect() })
    }
}

impl Out for UdpOut {
    fn serves(&self, channel: usize) -> bool {
        !self.channels[channel].is_empty()
    }

    fn send(&mut self, channel: usize, batch: &Batch) -> Result<(u64, u64)> {
        let fan_out = &mut self.channels[channel];
        let (mut bytes, mut sizes) = (&batch.bytes[..], &batch.sizes[..]);
        let mut totals = (0, 0);
        while let Some(&segment) = sizes.first() {
            let count = run_length(sizes);
            let length = sizes[..count].iter().map(|&size| usize::from(size)).sum();
            let (run, rest) = bytes.split_at(length);
            let sent = fan_out.send(&self.socket, run, segment)?;
            totals = (totals.0 + sent.messages * count as u64, totals.1 + sent.refused * count as u64);
            (bytes, sizes) = (rest, &sizes[count..]);
        }
        Ok(totals)
    }
}

/// How many packets from the head make a run: equal sizes, then at most one that is smaller.
fn run_length(sizes: &[u16]) -> usize {
    let segment = sizes[0];
    let equal = sizes.iter().take_while(|&&size| size == segment).count();
    let smaller = usize::from(sizes.get(equal).is_some_and(|&size| size < segment && size > 0));
    let fitting = (BYTES_PER_RUN / usize::from(segment).max(1)).clamp(1, PACKETS_PER_RUN);
    (equal + smaller).min(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_behind_a_smaller_packet_and_before_a_larger_one() {
        assert_eq!(run_length(&[1400, 1400, 200, 1400]), 3);
        assert_eq!(run_length(&[200, 1400]), 1);
        assert_eq!(run_length(&[1328; 80]), 49);
        assert_eq!(run_length(&[100; 80]), 64);
    }
}

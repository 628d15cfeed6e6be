//! Who is where: the addresses that all programs of the benchmark agree on.
//!
//! Each subscriber has an address of its own, all of them local to the viewers' side (a `local` route to a
//! prefix), so two sockets stand for thousands of subscribers: one for most, one for the witnesses.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Where groups of multicast are sent to: this port, and every other one from here on.
const FIRST_GROUP_PORT: u16 = 5004;
/// RTP port of a subscriber whose packets are counted by the first of each message.
pub const COUNTED_PORT: u16 = 5000;
/// RTP port of a witness: a subscriber of whom every packet is read.
pub const WITNESS_PORT: u16 = 5002;

const FIRST_SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 0);
const FIRST_GROUP: Ipv4Addr = Ipv4Addr::new(239, 9, 1, 1);
/// About this many witnesses, spread evenly over the subscribers.
const WITNESSES: usize = 20;

/// The multicast group of a channel. Neighbours are on different ports, as sources send to them in turn.
pub fn group(channel: usize, ports: usize) -> SocketAddrV4 {
    let port = FIRST_GROUP_PORT + 2 * (channel % ports.max(1)) as u16;
    SocketAddrV4::new(offset(FIRST_GROUP, channel), port)
}

/// The address of a subscriber.
pub fn subscriber(index: usize) -> Ipv4Addr {
    offset(FIRST_SUBSCRIBER, index)
}

/// The subscriber who has this address.
pub fn subscriber_at(address: Ipv4Addr) -> Option<usize> {
    u32::from(address).checked_sub(u32::from(FIRST_SUBSCRIBER)).map(|index| index as usize)
}

/// The RTP port of a subscriber among `subscribers`, of whom about 20 are witnesses.
pub fn rtp_port(index: usize, subscribers: usize) -> u16 {
    port_of(is_spread(index, subscribers, WITNESSES))
}

/// The RTP port of a subscriber: witnesses have another one than the rest.
pub fn port_of(witness: bool) -> u16 {
    if witness { WITNESS_PORT } else { COUNTED_PORT }
}

/// Whether a subscriber is one of about `wanted` that are spread evenly over all. The middle of each part, so
/// that no end of a relay's order is favoured.
pub fn is_spread(index: usize, subscribers: usize, wanted: usize) -> bool {
    let every = (subscribers / wanted).max(1);
    index % every == every / 2
}

/// Neighbours share a channel: the channel of a subscriber.
pub fn channel_of(index: usize, subscribers: usize, channels: usize) -> usize {
    index * channels / subscribers.max(1)
}

/// Where the bare loop sends the packets of a channel.
pub fn destinations(channel: usize, subscribers: usize, channels: usize) -> Vec<SocketAddrV4> {
    (0..subscribers)
        .filter(|&index| channel_of(index, subscribers, channels) == channel)
        .map(|index| SocketAddrV4::new(subscriber(index), rtp_port(index, subscribers)))
        .collect()
}

/// Which of the bare loop's threads serves a subscriber, by its channel and its place there: each serves the same
/// share of every channel, and where a channel has one subscriber, of the channels.
pub fn thread_of(channel: usize, place: usize, threads: usize) -> usize {
    (channel + place) % threads.max(1)
}

fn offset(first: Ipv4Addr, index: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first).wrapping_add(index as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subscriber_is_found_by_its_address_and_has_one_channel() {
        for index in [0, 1, 255, 256, 9_999] {
            assert_eq!(subscriber_at(subscriber(index)), Some(index));
        }
        let all: usize = (0..100).map(|channel| destinations(channel, 1000, 100).len()).sum();
        assert_eq!((all, destinations(99, 1000, 100).len()), (1000, 10));
    }

    #[test]
    fn groups_are_distinct_and_each_port_has_as_many_and_an_odd_one_for_rtcp() {
        let groups: Vec<_> = (0..1000).map(|channel| group(channel, 20)).collect();
        assert_eq!((groups[0].to_string(), groups[999].port()), ("239.9.1.1:5004".into(), 5042));
        assert!(groups.iter().all(|group| group.port() % 2 == 0));
        assert_eq!(groups.iter().filter(|group| group.port() == 5006).count(), 50);
        assert_eq!(
            groups.iter().map(|group| group.ip()).collect::<std::collections::HashSet<_>>().len(),
            1000
        );
        assert_eq!(group(7, 1).port(), 5004);
    }

    #[test]
    fn threads_share_the_subscribers_of_a_channel_and_channels_of_one() {
        let served = |thread| (0..10).filter(|&place| thread_of(3, place, 2) == thread).count();
        assert_eq!((served(0), served(1)), (5, 5));
        assert_eq!((thread_of(0, 0, 2), thread_of(1, 0, 2), thread_of(1, 0, 1)), (0, 1, 0));
    }

    #[test]
    fn witnesses_are_few_and_never_none() {
        for subscribers in [1, 7, 100, 3000] {
            let witnesses =
                (0..subscribers).filter(|&index| is_spread(index, subscribers, WITNESSES)).count();
            assert!((1..=40).contains(&witnesses), "{witnesses} of {subscribers}");
        }
    }
}

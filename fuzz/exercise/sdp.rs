//! What must hold for any file named as a description. `super::wire` is the crate's wire floor.

use std::net::{IpAddr, Ipv6Addr};

use super::wire::sdp;

pub fn exercise(text: &[u8]) {
    let program = match sdp::parse(text) {
        Ok(program) => program,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!program.tracks.is_empty());
    for track in &program.tracks {
        assert!(!track.feeds.is_empty() && !track.payload_types.is_empty());
        for feed in &track.feeds {
            assert!(feed.port > 0);
            let hosts = feed.filter.named().iter().chain(feed.filter.excluded());
            hosts.for_each(|host| assert_eq!(host.is_ipv4(), feed.group.is_ipv4()));
        }
    }
    if let Ok(announced) = sdp::parse_announced(text) {
        let mut feeds = announced.tracks.iter().flat_map(|track| &track.feeds);
        assert!(feeds.all(|feed| feed.group.is_multicast()));
    }
    let described = sdp::unicast(&program, IpAddr::V6(Ipv6Addr::LOCALHOST));
    let media = described.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(media, program.tracks.len());
    assert!(described.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
}

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
        assert!(track.group.is_multicast() && track.port > 0 && !track.payload_types.is_empty());
        let hosts = track.filter.named().iter().chain(track.filter.excluded());
        hosts.for_each(|host| assert_eq!(host.is_ipv4(), track.group.is_ipv4()));
    }
    let described = sdp::unicast(&program, IpAddr::V6(Ipv6Addr::LOCALHOST));
    let media = described.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(media, program.tracks.len());
    assert!(described.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
}

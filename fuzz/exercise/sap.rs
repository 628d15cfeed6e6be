//! What must hold for any datagram that comes where sessions are announced. `super::wire` is the crate's wire floor.

use super::wire::sap::{MAX_DESCRIPTION_LEN, announced_in, parse};
use super::wire::sdp;

pub fn exercise(datagram: &[u8]) {
    let announcement = match parse(datagram) {
        Ok(announcement) => announcement,
        Err(error) => return assert!(!error.to_string().is_empty() && !error.reason().is_empty()),
    };
    let description = announcement.description;
    assert!(description.len() <= MAX_DESCRIPTION_LEN && description.last() != Some(&0));
    assert_eq!(parse(&announcement.build()), Ok(announcement));
    let identity = sdp::identity(description, announcement.origin);
    assert_eq!(identity, sdp::identity(description, announcement.origin));
    assert!(identity.short().len() == 6 && identity.is_the_same_by(announcement.origin));
    if let Ok(presentation) = sdp::parse(description) {
        let mut feeds = presentation.tracks.iter().flat_map(|track| &track.feeds);
        assert!(feeds.all(|feed| announced_in(feed.group).is_multicast()));
    }
}

//! What must hold for the head of any request over HTTP, and what it names. `super::wire` is the crate's wire floor.

use super::wire::http::{Head, Place, Resource, host_of, path_of};

/// The bytes are a head, of whatever is in it.
pub fn exercise(bytes: &[u8]) {
    let Ok(Some((head, length))) = Head::read(bytes) else { return };
    assert!(length <= bytes.len(), "nothing is read that has not come");
    if let Some((all, host)) = head.host.as_deref().and_then(host_of) {
        assert!(
            all.starts_with(host) && !all.contains(['/', '"', '<', ' ', '@', '?']),
            "it may be said again: {all:?}"
        );
    }
    let Ok(place) = Place::parse(&head.target) else { return };
    let told = [Some(&head.target), place.token.as_ref()];
    assert!(told.into_iter().flatten().all(|text| !text.chars().any(|c| c.is_ascii_control())), "{place:?}");
    match &place.resource {
        Resource::Channel(name) => {
            let again = Place::parse(&path_of(name)).expect("a path of ours");
            assert_eq!(again.resource, place.resource, "a channel is found by its path");
        }
        Resource::Group(source) => {
            let again = source.to_string().parse();
            assert_eq!(again.as_ref(), Ok(&**source), "a group is found by what is said of it");
        }
        _ => {}
    }
}

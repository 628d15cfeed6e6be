//! What must hold for what a client of HTTP asks for, and for what it calls the server. `super::wire` is the crate's wire floor.

use super::wire::http::{Place, Resource, host_of, path_of};

/// The target of a request, and on a second line what `Host` says.
pub fn exercise(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (target, host) = text.split_once('\n').unwrap_or((text, ""));
    match Place::parse(target) {
        Ok(Place { resource: Resource::Channel(name), .. }) if !name.is_empty() => {
            let again = Place::parse(&path_of(&name)).expect("we have written it");
            assert!(again.token.is_none() && !again.has_login, "a name is no query");
        }
        Ok(Place { resource: Resource::Group(source), .. }) => {
            assert!(source.port > 0, "{source}");
        }
        Ok(_) => {}
        Err(why) => assert!(!why.is_empty()),
    }
    if let Some((whole, name)) = host_of(host) {
        assert!(whole.starts_with(name) && whole.len() <= host.len());
        let breaks = |c: char| c.is_whitespace() || c.is_control() || "/\\\"'<>?#@".contains(c);
        assert!(!whole.contains(breaks), "it goes into lists as it is: {whole:?}");
    }
}

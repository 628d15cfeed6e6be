//! What a channel is called whose session is announced: a name that a URL can carry, whatever the session is called.

use std::collections::VecDeque;
use std::net::IpAddr;

/// Names that are kept for the hosts whose sessions had them.
const KEPT: usize = 1024;

/// Of a session's name, so much is taken.
const MOST: usize = 64;
/// What is called so has no name that could be taken.
const NAMELESS: &str = "session";

/// A session's name as that of a channel, behind a prefix: letters, digits and what stands between them.
pub(super) fn channel_name(prefix: &str, session: &str) -> String {
    let mut name = String::new();
    for c in session.chars() {
        if name.len() == MOST {
            break;
        }
        match c {
            c if c.is_ascii_alphanumeric() || "_.".contains(c) => name.push(c),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let mut name = name.trim_matches(['-', '.']);
    while let Some(shorter) = name.strip_suffix(".sdp") {
        name = shorter.trim_end_matches(['-', '.']);
    }
    format!("{prefix}{}", if name.is_empty() { NAMELESS } else { name })
}

/// Names of sessions that are gone, the oldest first: another host's session does not get them, so that each comes back under its
/// own, whichever is heard first.
#[derive(Default)]
pub(super) struct Names(VecDeque<(String, IpAddr)>);

impl Names {
    /// A session of a host had this name.
    pub fn remember(&mut self, name: &str, host: IpAddr) {
        self.0.retain(|(kept, _)| kept != name);
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((name.to_owned(), host));
    }

    /// Whether it is kept for another one.
    pub fn is_of_another(&self, name: &str, host: IpAddr) -> bool {
        self.0.iter().any(|(kept, of)| kept == name && *of != host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_kept_for_their_hosts_so_many_of_them() {
        let (mut names, [one, other]) =
            (Names::default(), [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from));
        names.remember("sap/Stage", one);
        assert!(names.is_of_another("sap/Stage", other) && !names.is_of_another("sap/Stage", one));
        names.remember("sap/Stage", other);
        assert!(names.is_of_another("sap/Stage", one) && names.0.len() == 1);
        (0..2 * KEPT).for_each(|nth| names.remember(&nth.to_string(), one));
        assert!(names.0.len() == KEPT && !names.is_of_another("sap/Stage", one));
    }

    #[test]
    fn whatever_a_session_is_called_its_channel_has_a_name() {
        for (session, name) in [
            ("Stage Left : 2", "sap/Stage-Left-2"),
            ("../../etc/passwd", "sap/etc-passwd"),
            ("Café", "sap/Caf"),
            ("日本", "sap/session"),
            ("", "sap/session"),
            ("-", "sap/session"),
            ("news.sdp.sdp", "sap/news"),
            (".sdp", "sap/sdp"),
            ("a.sdp-", "sap/a"),
            ("AES67 1.0_b", "sap/AES67-1.0_b"),
        ] {
            assert_eq!(channel_name("sap/", session), name, "{session}");
        }
        assert_eq!(channel_name("", &"x".repeat(500)).len(), MOST);
    }

    proptest! {
        #[test]
        fn none_has_what_a_channels_name_may_not(session in "\\PC{0,200}") {
            let name = channel_name("", &session);
            prop_assert!(!name.is_empty() && name.len() <= MOST);
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
            prop_assert!(!name.starts_with('.') && !name.ends_with(".sdp"));
        }
    }
}

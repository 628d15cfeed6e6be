//! What a channel is called whose session is announced: a name that a URL can carry, whatever the session is called.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

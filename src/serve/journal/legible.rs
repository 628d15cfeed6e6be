//! Text from outside, fit for a line of the log: no line or terminal is broken by it, and it is short.

/// What is kept of one text.
const MOST_CHARACTERS: usize = 128;

/// The text with `?` for all that is neither letter, digit, mark of ASCII nor space, and with `…` for the rest of a long one.
pub fn legible(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut characters = text.chars().map(plain);
    let mut kept: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// The same of what may hold a part of a URL: whatever stands before an `@` may be a password. Queries are for whom they
/// are asked of.
pub fn legible_path(text: &str) -> String {
    let behind = text.rsplit_once('@').map_or(text, |(_, behind)| behind);
    legible(behind.split('?').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_breaks_lines_and_terminals_is_taken_out() {
        assert_eq!(legible("VLC/3.0 \"ä\""), "VLC/3.0 \"ä\"");
        assert_eq!(legible("a\r\nb\x1b[31mc\u{202e}d\u{9b}"), "a??b?[31mc?d?");
    }

    #[test]
    fn of_a_path_nothing_is_told_that_may_be_a_password() {
        assert_eq!(legible_path("uk/news"), "uk/news");
        assert_eq!(legible_path("//user:wo@rd@edge/news?token=word"), "edge/news");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_short_and_one_line(text in any::<String>()) {
            let told = legible(&text);
            prop_assert!(told.chars().count() <= MOST_CHARACTERS + 1);
            prop_assert!(!told.contains(char::is_control));
        }
    }
}

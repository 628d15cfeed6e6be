//! Finds passwords in what was typed, so that no error and no excerpt of a file tells one. Knows how `user:word@` looks,
//! and no key.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// What stands for a password.
pub(super) const HIDDEN: char = '…';

/// A URL as it may be told. `user:word@` is of no use before a group, so that is an error anyway.
pub(super) fn without_password(url: &str) -> String {
    without(url, password(url))
}

/// A message as it may be told: without the passwords of the URLs in it.
pub(super) fn without_passwords(message: &str) -> String {
    message.split_inclusive(parts_words).map(without_password).collect()
}

/// A message that quotes a line, or what was made of one: nobody knows where its values end.
pub(super) fn without_password_of_a_line(message: &str) -> String {
    without(message, password_in(message))
}

/// Where a line of the file has a password, in bytes. It is not known where a value ends that is not closed, so it may
/// reach up to the last `@`; but no address has one because of a comment behind it.
pub(super) fn password_in_line(line: &str) -> Option<Range<usize>> {
    let comment = line.find("://").and_then(|at| {
        let typed = line[at + 3..].split_once(" #")?.0;
        let typed = typed.trim_matches(['"', '\'', ' ', '\t']);
        typed.parse::<SocketAddr>().is_ok().then(|| line.find(" #")).flatten()
    });
    let from = comment.unwrap_or(0);
    password_in(&line[from..]).map(|found| from + found.start..from + found.end)
}

fn password_in(line: &str) -> Option<Range<usize>> {
    let within = |from: usize, part: &str| password(part).map(|found| from + found.start..from + found.end);
    let of_a_url = line.contains("://").then(|| password(line)).flatten();
    of_a_url.or_else(|| {
        let mut from = 0;
        line.split_inclusive(parts_words).find_map(|word| {
            from += word.len();
            within(from - word.len(), word)
        })
    })
}

/// Where `text`, which is a URL or ends with one, has a password.
fn password(text: &str) -> Option<Range<usize>> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let before = text[start..].rsplit_once('@')?.0;
    let is_in_brackets = before
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| !inside.contains(']'));
    let (user, _) =
        before.split_once(':').filter(|_| !is_in_brackets && before.parse::<IpAddr>().is_err())?;
    Some(start + user.len() + 1..start + before.len())
}

fn without(text: &str, password: Option<Range<usize>>) -> String {
    match password {
        Some(found) => format!("{}{HIDDEN}{}", &text[..found.start], &text[found.end..]),
        None => text.to_owned(),
    }
}

fn parts_words(c: char) -> bool {
    c.is_whitespace() || "\"'`=,".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_its_password() {
        for (url, told) in [
            ("rtp://user:word@239.9.9.1:5004", "rtp://user:…@239.9.9.1:5004"),
            ("user:w/o@r:d@239.9.9.1", "user:…@239.9.9.1"),
            ("rtp://10.0.0.1@232.9.9.1:5004", "rtp://10.0.0.1@232.9.9.1:5004"),
            ("rtp://[fe80::1]@[ff35::1]:5004", "rtp://[fe80::1]@[ff35::1]:5004"),
            ("rtp://fe80::1@[ff35::1]:5004", "rtp://fe80::1@[ff35::1]:5004"),
            ("rtp://239.9.9.1:5004", "rtp://239.9.9.1:5004"),
        ] {
            assert_eq!(without_password(url), told);
            let message = format!("channel \"a\": source \"{url}\": write rtp://SOURCE@GROUP:PORT");
            assert_eq!(without_passwords(&message), message.replace(url, told));
        }
    }

    #[test]
    fn a_line_is_shown_without_its_password_wherever_its_values_end() {
        for (line, shown) in [
            ("source = rtp://user:word@239.9.9.1", "source = rtp://user:…@239.9.9.1"),
            ("source = \"rtp://u:a \\\"b@c", "source = \"rtp://u:…@c"),
            ("source = user:word@239.9.9.1", "source = user:…@239.9.9.1"),
            ("source = rtp://[::1]@[ff15::1] rtp://u:w@h", "source = rtp://[:…@h"),
            ("source = rtp://239.9.9.1:5004 # me@home", "source = rtp://239.9.9.1:5004 # me@home"),
            ("source = 'rtp://[ff15::1]:5004' # me@home", "source = 'rtp://[ff15::1]:5004' # me@home"),
            ("source = rtp://user:wo #rd@h", "source = rtp://user:…@h"),
            ("source = rtp://239.9.9.1:5004 # rtp://u:w@h", "source = rtp://239.9.9.1:5004 # rtp://u:…@h"),
            ("# source = rtp://user:word@h", "# source = rtp://user:…@h"),
            ("x = 5 # rtp://user:word@h", "x = 5 # rtp://user:…@h"),
            ("listen = [[::]:8554, 0.0.0.0:8554]", "listen = [[::]:8554, 0.0.0.0:8554]"),
        ] {
            assert_eq!(without(line, password_in_line(line)), shown);
        }
    }
}

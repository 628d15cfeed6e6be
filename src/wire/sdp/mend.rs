//! Mending a description. A relay needs to know where a stream is sent, and what it is; whatever else is broken in a
//! line must not decide. What is needed and unclear is left as it is, for the one who reads it to refuse.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use sdp_types::Session;

use super::lines::{Line, Lines};

/// Mends what is not needed. `None`: nothing in it is a line of a description.
pub(super) fn mend(mut lines: Lines) -> Option<Lines> {
    let is_version = |line: &Line| line.key() == Some('v');
    match lines.0.iter().position(is_version) {
        // Programs that print a description put a title above it.
        Some(start) => drop(lines.0.drain(..start)),
        // A fragment, of the lines that matter.
        None if lines.0.first()?.key().is_some() => lines.0.insert(0, line(0, "v=0")),
        None => return None,
    }
    let mut seen = HashSet::new();
    let mut in_medium = false;
    lines.0.retain_mut(|line| {
        let Some(key) = line.key() else { return false };
        if key == 'm' {
            in_medium = true;
            seen.clear();
            return true;
        }
        let is_once = if in_medium { "ik" } else { "vosiuczk" }.contains(key);
        let is_again = is_once && !seen.insert(key);
        !is_again && keep(line, key)
    });
    Some(lines)
}

/// Leaves out the media that are disabled (port 0), with all that stands below them.
pub(super) fn without_disabled(lines: &Lines) -> Lines {
    let mut disabled = false;
    let enabled = lines.0.iter().filter(|line| {
        if line.key() == Some('m') {
            let port = line.value().split_ascii_whitespace().nth(1).unwrap_or_default();
            disabled = port.split('/').next().is_some_and(|port| port.parse() == Ok(0u16));
        }
        !disabled
    });
    Lines(enabled.cloned().collect())
}

fn line(number: usize, text: &str) -> Line {
    Line { number, text: text.to_owned() }
}

/// Mends a line where that can be; `false`: it is unreadable, and nothing is lost with it.
fn keep(line: &mut Line, key: char) -> bool {
    if key == 'c' {
        line.text = format!("c={}", connection(line.value()));
    }
    if is_readable(line, key) {
        return true;
    }
    match key {
        't' => "t=0 0".clone_into(&mut line.text),
        // A line that says where the stream is sent is named when it is missed.
        _ => return key == 'v',
    }
    true
}

fn is_readable(line: &Line, key: char) -> bool {
    let before = if key == 'r' { "t=0 0\r\n" } else { "" };
    key == 'v' || key == 'a' || Session::parse(format!("v=0\r\n{before}{}\r\n", line.text).as_bytes()).is_ok()
}

/// `c=IN c=IN IP4 group` and `c=IN group`: the address tells its family.
fn connection(value: &str) -> Cow<'_, str> {
    let Some(last) = value.split_ascii_whitespace().last() else { return value.into() };
    let address = last.split('/').next().unwrap_or_default();
    match address.parse() {
        Ok(IpAddr::V4(_)) => format!("IN IP4 {last}").into(),
        Ok(IpAddr::V6(_)) => format!("IN IP6 {last}").into(),
        Err(_) => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> Vec<String> {
        let lines = mend(Lines::of(text.as_bytes())).unwrap_or_default();
        lines.0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn what_no_relay_needs_does_not_decide() {
        for origin in [
            "o=-0 0 IN IP4 127.0.0.1",
            "o=Channel1 3910280086 3910366486 IN IP4",
            "o=RTSP 16381778200090761968 16381778200090839277 IN IP4 ",
            "o=- 1698210484.879535 1698210484.879535 IN IP4 198.51.100.231:12626",
            "o=- -1962418793961427 -1962418793961418 IN IP4 192.0.2.104",
            "o=- 14665860 31787219 1 IN IP4 192.0.2.60",
            "o=",
        ] {
            assert_eq!(mended(&format!("v=0\n{origin}\ns=x\n")), ["v=0", "s=x"], "{origin}");
        }
        assert_eq!(mended("v=0\nt=now-\nr=bad\nb=AS:\nz=x\nk\n"), ["v=0", "t=0 0"]);
        assert_eq!(
            mended("v=0\ns=first\ns=second\ni=a\nm=x\ni=b\ni=c\n"),
            ["v=0", "s=first", "i=a", "m=x", "i=b"]
        );
        assert_eq!(mended("v=0\no=- 1 1 IN IP4 192.0.2.1\na=x\n")[1..], ["o=- 1 1 IN IP4 192.0.2.1", "a=x"]);
    }

    #[test]
    fn an_address_tells_its_family() {
        for (written, read) in [
            ("IN c=IN IP4 239.9.9.6/16", "c=IN IP4 239.9.9.6/16"),
            ("IN 239.9.9.6", "c=IN IP4 239.9.9.6"),
            ("In IP4 239.9.9.6", "c=IN IP4 239.9.9.6"),
            ("IN ff3e::1", "c=IN IP6 ff3e::1"),
        ] {
            assert_eq!(mended(&format!("v=0\nc={written}\n")), ["v=0", read]);
        }
        for useless in ["", "IN ", "IN"] {
            assert_eq!(mended(&format!("v=0\nc={useless}\nm=x\n")), ["v=0", "m=x"], "{useless}");
        }
    }

    #[test]
    fn a_title_and_a_fragment_are_a_description() {
        assert_eq!(mended("SDP:\nv=0\ns=x\n"), ["v=0", "s=x"]);
        assert_eq!(mended("c=IN IP4 239.1.1.1\nm=video 5004 RTP/AVP 33\n")[0], "v=0");
        assert_eq!(mended("<html>\n"), [""; 0]);
        assert_eq!(mended(""), [""; 0]);
    }

    #[test]
    fn what_is_disabled_is_gone_whatever_it_says() {
        let lines =
            Lines::of(b"v=0\nm=audio 0 RTP/AVP\na=x\nm=text 000 RTP/AVP 98\nm=video 5004 RTP/AVP 33\na=y\nm=a/b 0/2 X smart/1\n");
        let texts: Vec<_> = without_disabled(&lines).0.into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["v=0", "m=video 5004 RTP/AVP 33", "a=y"]);
    }
}

//! The Host header: by which name a client has found us. It comes back in what we say, so it has to be one.

/// The longest name, with its port.
const HOST_BYTES: usize = 262;

/// Host and port as written, and the host alone, in brackets where it has them. `None`: it is no host.
#[must_use]
pub fn host_of(header: &str) -> Option<(&str, &str)> {
    let (host, port) = match header.strip_prefix('[') {
        Some(inside) => {
            let end = inside.find(']')? + 1;
            let (_, rest) = inside.split_at(end);
            (&header[..=end], rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        None => header.split_once(':').unwrap_or((header, "")),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_address = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
    let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'));
    let is_host = match bare {
        Some(address) => !address.is_empty() && address.chars().all(is_address),
        None => !host.is_empty() && host.chars().all(is_name),
    };
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (header.len() <= HOST_BYTES && is_host && is_port).then_some((header, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        for (header, host) in [
            ("edge", "edge"),
            ("edge.example:8080", "edge.example"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]:8080", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(header), Some((header, host)), "{header}");
        }
        let long = "x".repeat(300);
        for wrong in [
            "",
            ":80",
            "edge:port",
            "edge:123456",
            "a/b",
            "a b",
            "a\"b",
            "<x>",
            "[::1",
            "[]",
            "[::1]x",
            "u@h",
            &long,
        ] {
            assert_eq!(host_of(wrong), None, "{wrong}");
        }
    }
}

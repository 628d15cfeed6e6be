//! Text of DVB (EN 300 468 annex A), as far as it is Latin or UTF-8.

/// The alphabets of a text, as its first bytes select them.
#[derive(Clone, Copy)]
enum Alphabet {
    Latin,
    Utf8,
    Other,
}

/// The text of a descriptor. A character of an alphabet that is not known here is a `?`; marks of emphasis are left out.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let (alphabet, bytes) = match bytes {
        [0x15, rest @ ..] => (Alphabet::Utf8, rest),
        [0x10, 0, 1, rest @ ..] => (Alphabet::Latin, rest),
        [0x10, _, _, rest @ ..] | [0x1f, _, rest @ ..] | [0..=0x1f, rest @ ..] => (Alphabet::Other, rest),
        latin => (Alphabet::Latin, latin),
    };
    match alphabet {
        Alphabet::Utf8 => {
            String::from_utf8_lossy(bytes).chars().filter(|c| !is_mark(u32::from(*c))).collect()
        }
        Alphabet::Latin => {
            bytes.iter().filter(|byte| !is_mark((**byte).into())).map(|byte| char::from(*byte)).collect()
        }
        Alphabet::Other => {
            bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
        }
    }
}

/// Emphasis on and off, by table A.1, and by A.2 for alphabets of two bytes.
fn is_mark(code: u32) -> bool {
    matches!(code, 0x86 | 0x87 | 0xe086 | 0xe087)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_select_the_alphabet() {
        for (bytes, expected) in [
            (&b"News"[..], "News"),
            (b"Caf\xe9", "Café"),
            (b"\x15Caf\xc3\xa9", "Café"),
            (b"\x10\0\x01Caf\xe9", "Café"),
            (b"\x10\0\x05\xb4\xd5 1", "?? 1"),
            (b"\x01\xbf\xe0 TV", "?? TV"),
            (b"\x1f\x01TV", "TV"),
            (b"\x86One\x87", "One"),
            (b"\x15a\xff", "a\u{fffd}"),
            (b"", ""),
            (b"\x10", ""),
        ] {
            assert_eq!(text(bytes), expected, "{bytes:?}");
        }
    }
}

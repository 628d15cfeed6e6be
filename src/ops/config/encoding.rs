//! From bytes to text: a file that is not UTF-8 is told so, with the place, and read as far as it can be.

/// Lines that are told of; the others have the same remedy.
const TOLD: usize = 8;

/// What a file's bytes say.
pub(super) struct Decoded {
    pub(super) text: String,
    /// Where the text was not UTF-8, and what to do.
    pub(super) problems: Vec<(usize, String)>,
}

/// Whether it begins as text of two bytes a character does: with a mark, or with an ASCII character of two bytes.
pub(super) fn is_utf16(content: &[u8]) -> bool {
    matches!(content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] | [1..=0x7f, 0, ..])
}

/// The text of a file. What is not UTF-8 is noted; in its place stand characters that harm nothing.
pub(super) fn decode(content: Vec<u8>) -> Decoded {
    if is_utf16(&content) {
        let is_little = matches!(content[..2], [0xff, 0xfe] | [_, 0]);
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        let units = content.chunks_exact(2).map(unit);
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('?')).collect();
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let problem = "this is UTF-16 text, as some editors of Windows write it; save the file as UTF-8";
        return Decoded { text, problems: vec![(0, problem.to_owned())] };
    }
    if content.contains(&0) {
        let problem = "there are zero bytes in it, so it is no text; name a config with --config FILE";
        return Decoded { text: String::new(), problems: vec![(0, problem.to_owned())] };
    }
    let (mut content, mut problems) = (content, Vec::new());
    // Where the line ends that was told last.
    let (mut from, mut told_until) = (0, 0);
    while let Err(error) = std::str::from_utf8(&content[from..]) {
        let at = from + error.valid_up_to();
        if at >= told_until && problems.len() < TOLD {
            let line_end = content[at..].iter().position(|byte| *byte == b'\n');
            told_until = line_end.map_or(content.len(), |end| at + end);
            let byte = content[at];
            let latin = char::from(byte);
            let meant =
                if latin.is_control() { String::new() } else { format!(" (in Latin-1 it is {latin})") };
            problems.push((at, format!("byte 0x{byte:02X} is not UTF-8{meant}; save the file as UTF-8")));
        }
        content[at] = b'?';
        from = at + 1;
    }
    Decoded { text: String::from_utf8(content).unwrap_or_default(), problems }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_left_as_it_is() {
        let decoded = decode("\u{feff}name = \"é\"\n".into());
        assert_eq!((decoded.text.as_str(), decoded.problems.len()), ("\u{feff}name = \"é\"\n", 0));
        assert_eq!(decode(Vec::new()).text, "");
    }

    #[test]
    fn a_byte_that_is_not_is_told_once_a_line() {
        let decoded = decode(b"# f\xfcr \xe9\nname = \"\xff\"\n".to_vec());
        assert_eq!(decoded.text, "# f?r ?\nname = \"?\"\n");
        let places: Vec<_> = decoded.problems.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, [3, 16]);
        assert!(
            decoded.problems[0].1.contains("0xFC is not UTF-8 (in Latin-1 it is ü)"),
            "{:?}",
            decoded.problems
        );
        assert_eq!(decode(vec![0x80; 400_000]).problems.len(), 1, "in good time, however long the line");
        assert_eq!(decode(b"\x80\n".repeat(100)).problems.len(), TOLD);
        assert!(decode(b"\x7fELF\0".to_vec()).problems[0].1.contains("it is no text"));
    }

    #[test]
    fn utf16_is_read_all_the_same() {
        let text = "[rtsp]\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [[&[0xff, 0xfe], &little[..]].concat(), [&[0xfe, 0xff], &big[..]].concat(), little, big]
        {
            let decoded = decode(bytes);
            assert_eq!(decoded.text, text);
            assert!(decoded.problems[0].1.contains("save the file as UTF-8"));
        }
    }
}

//! A description as numbered lines, whatever its editor, encoding and line ends: what is read, and what errors point at.

/// One line, and its number in the file, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub number: usize,
    pub text: String,
}

/// The lines that say something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(pub Vec<Line>);

/// The lines of one medium, and of the session above it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    session: &'a [Line],
    medium: &'a [Line],
}

impl Line {
    /// The letter before `=`.
    pub fn key(&self) -> Option<char> {
        let mut chars = self.text.chars();
        chars.next().filter(|key| key.is_ascii_lowercase() && chars.next() == Some('='))
    }

    /// What stands behind `=`.
    pub fn value(&self) -> &str {
        self.text.get(2..).unwrap_or_default()
    }
}

impl Lines {
    /// Splits at LF, CR LF or CR. Blank lines, indentation (pasted from YAML) and a byte order mark say nothing; what is
    /// not UTF-8 is read as Latin-1, as which every byte is a letter.
    pub fn of(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let separator = if text.contains(&b'\n') { b'\n' } else { b'\r' };
        let lines = text.split(|byte| *byte == separator).zip(1..).map(|(bytes, number)| {
            let bytes = bytes.trim_ascii_start();
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            let text = match str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.iter().copied().map(char::from).collect(),
            };
            Line { number, text }
        });
        Self(lines.filter(|line| !line.text.trim().is_empty()).collect())
    }

    /// As one text again. A line's place in it is its place here.
    pub fn to_text(&self) -> String {
        self.0.iter().flat_map(|line| [line.text.as_str(), "\r\n"]).collect()
    }

    /// The number in the file of the line at a place, from 1.
    pub fn number(&self, place: usize) -> Option<usize> {
        Some(self.0.get(place.checked_sub(1)?)?.number)
    }

    /// The session's lines, those before any medium.
    pub fn session(&self) -> Section<'_> {
        let end = self.media().next().unwrap_or(self.0.len());
        Section { session: &self.0[..end], medium: &[] }
    }

    /// The medium that is the `index`th.
    pub fn medium(&self, index: usize) -> Section<'_> {
        let mut starts = self.media().skip(index);
        let start = starts.next().unwrap_or(self.0.len());
        let end = starts.next().unwrap_or(self.0.len());
        Section { medium: &self.0[start..end], ..self.session() }
    }

    fn media(&self) -> impl Iterator<Item = usize> {
        let media = self.0.iter().enumerate().filter(|(_, line)| line.key() == Some('m'));
        media.map(|(place, _)| place)
    }
}

impl Section<'_> {
    /// The number of the first line that begins so: in the medium, else in the session.
    pub fn first(&self, start: &str) -> Option<usize> {
        let mut lines = self.medium.iter().chain(self.session);
        lines.find(|line| line.text.starts_with(start)).map(|line| line.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &[u8]) -> Vec<String> {
        Lines::of(text).0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn editors_and_encodings_make_no_difference() {
        for text in
            [&b"v=0\ns=x\n"[..], b"v=0\r\ns=x\r\n", b"v=0\rs=x\r", b"\xef\xbb\xbf  v=0\n\t s=x\n\n \n"]
        {
            assert_eq!(texts(text), ["v=0", "s=x"], "{text:?}");
        }
        assert_eq!(texts(b"s=Caf\xe9"), ["s=Caf\u{e9}"]);
        assert_eq!(texts("s=Café".as_bytes()), ["s=Café"]);
        assert_eq!(texts(b"s=two  \n"), ["s=two  "], "what stands at the end of a line is its own");
    }

    #[test]
    fn lines_are_found_by_their_number_in_the_file() {
        let lines = Lines::of(b"v=0\n\nc=1\nm=a\nb=2\n\nm=b\nc=3\n");
        assert_eq!((lines.medium(0).first("c="), lines.medium(1).first("c=")), (Some(3), Some(8)));
        assert_eq!((lines.medium(1).first("b="), lines.session().first("m=")), (None, None));
        assert_eq!((lines.number(0), lines.number(3), lines.number(9)), (None, Some(4), None));
    }
}

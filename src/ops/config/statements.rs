//! A file cut into what its author meant as one piece each: a section's header, or a key with its value. Goes by
//! how lines look, so that it also knows where a piece ends that is not TOML.

use super::keys::KEYS;

/// What begins and ends a text over several lines.
const LONG_QUOTES: [&str; 2] = ["\"\"\"", "'''"];

/// What a piece is meant as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[rtsp]`, or what was to be one.
    Header,
    /// `key = value`, over as many lines as it takes.
    Assignment,
    /// Anything else.
    Other,
}

/// A piece of the file, with the comments and blank lines that follow it.
#[derive(Debug)]
pub(super) struct Statement<'t> {
    pub(super) kind: Kind,
    /// Where its first line begins.
    pub(super) start: usize,
    /// Its lines.
    pub(super) text: &'t str,
    /// A header's section, or an assignment's key.
    pub(super) name: &'t str,
    /// The header that it stands under, as its place among the statements.
    pub(super) under: Option<usize>,
    /// Brackets, or a text over several lines, that are not closed where the next piece begins.
    pub(super) open: bool,
    /// Such a text.
    pub(super) has_open_text: bool,
}

impl Statement<'_> {
    /// Where the next piece begins.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Where its value begins: behind the first `=`.
    pub(super) fn value_start(&self) -> Option<usize> {
        (self.kind == Kind::Assignment).then(|| self.text.find('=')).flatten().map(|at| self.start + at + 1)
    }

    /// Whether it is a header in double brackets.
    pub(super) fn is_one_of_several(&self) -> bool {
        self.kind == Kind::Header && self.text.trim_start_matches('\u{feff}').trim_start().starts_with("[[")
    }
}

/// All pieces of `text`, in its order and without gaps.
pub(super) fn statements(text: &str) -> Vec<Statement<'_>> {
    let lines = lines(text);
    let mut all = Vec::<Statement<'_>>::new();
    let (mut start, mut under, mut depth, mut texts) = (0, None, 0, [0; 2]);
    for Line { text: line, content, begins, opens, least_depth } in lines {
        let goes_on = all.last().is_some_and(|last: &Statement<'_>| {
            // What looks like a key is none between brackets that are closed further down.
            let is_inside = match begins {
                None => true,
                Some((Kind::Header, _)) => false,
                Some(_) => !last.has_open_text && depth + least_depth <= 0,
            };
            content.is_empty() || content.starts_with('#') || (last.open && is_inside)
        });
        if goes_on && let Some(last) = all.last_mut() {
            last.text = &text[last.start..start + line.len()];
        } else {
            let (kind, name) = begins.unwrap_or((Kind::Other, ""));
            if kind == Kind::Header {
                under = Some(all.len());
            }
            (depth, texts) = (0, [0; 2]);
            all.push(Statement { kind, start, text: line, name, under, open: false, has_open_text: false });
        }
        if let Some(last) = all.last_mut().filter(|last| last.kind == Kind::Assignment) {
            depth += opens;
            let ends = LONG_QUOTES.map(|quotes| line.matches(quotes).count());
            texts = [texts[0] + ends[0], texts[1] + ends[1]];
            last.has_open_text = texts.iter().any(|ends| ends % 2 == 1);
            last.open = depth > 0 || last.has_open_text;
        }
        start += line.len();
    }
    all
}

/// A line, and what it is by its looks.
struct Line<'t> {
    /// With its end.
    text: &'t str,
    content: &'t str,
    begins: Option<(Kind, &'t str)>,
    /// How many more brackets it opens than it closes.
    opens: i32,
    /// The same of this line and those below it, up to the one before the next header where that is the fewest.
    least_depth: i32,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let read = |line| {
        let content = str::trim(str::trim_start_matches(line, '\u{feff}'));
        Line { text: line, content, begins: begins(content), opens: opened(line), least_depth: 0 }
    };
    let mut lines: Vec<_> = text.split_inclusive('\n').map(read).collect();
    let mut below = 0;
    for line in lines.iter_mut().rev() {
        line.least_depth = line.opens + below;
        let is_header = matches!(line.begins, Some((Kind::Header, _)));
        below = if is_header { 0 } else { line.least_depth.min(0) };
    }
    lines
}

/// What a line begins, if it looks like a header or an assignment.
pub(super) fn begins(content: &str) -> Option<(Kind, &str)> {
    if let Some(name) = header_name(content) {
        return Some((Kind::Header, name));
    }
    let (key, _) = content.split_once('=')?;
    let key = bare_key(key);
    let is_key =
        !key.is_empty() && !key.contains(['"', '\'', '[', ']', '{', '}', '(', ',', '#', ':', '/', ';']);
    is_key.then_some((Kind::Assignment, key))
}

/// A key without the quotes that it may have.
pub(super) fn bare_key(typed: &str) -> &str {
    let typed = typed.trim_ascii();
    let inside = |quote: char| typed.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(typed)
}

/// The name in what was meant as a header: `[rtsp]`, `[rtsp`, `rtsp]`, `rtsp:` or `rtsp` alone.
fn header_name(content: &str) -> Option<&str> {
    let content = before_comment(content).trim();
    let is_name = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    if let Some(inside) = content.strip_prefix('[') {
        let inside = inside.trim_start_matches('[');
        let name = inside.split(']').next().unwrap_or_default();
        let after = inside[name.len()..].trim_start_matches(']');
        let stands_alone = after.is_empty() || after.starts_with(char::is_whitespace);
        return (name.chars().all(is_name) && stands_alone).then_some(name.trim());
    }
    let name = content.trim_end_matches([']', ':']);
    let is_closed = content.ends_with(']') && !name.is_empty() && name.chars().all(is_name);
    (is_closed || KEYS.iter().any(|section| section.name == name)).then_some(name)
}

/// How many more brackets a line opens than it closes, outside of quotes and comments.
fn opened(line: &str) -> i32 {
    let mut depth = 0;
    for (_, c) in outside_quotes(line).take_while(|(_, c)| *c != '#') {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    depth
}

/// A line without its comment.
pub(super) fn before_comment(line: &str) -> &str {
    outside_quotes(line).find(|(_, c)| *c == '#').map_or(line, |(at, _)| &line[..at])
}

/// The characters that stand outside of quotes.
fn outside_quotes(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    line.char_indices().filter(move |(_, c)| {
        let was_inside = quote.is_some();
        match quote {
            Some('"') if *c == '\\' && !escaped => escaped = true,
            Some(open) if *c == open && !escaped => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(*c),
            _ => escaped = false,
        }
        !was_inside && quote.is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(Kind, &str, bool)> {
        let all = statements(text);
        assert_eq!(
            all.iter().map(|statement| statement.text).collect::<String>(),
            text,
            "nothing is left out"
        );
        all.into_iter().map(|statement| (statement.kind, statement.name, statement.open)).collect()
    }

    #[test]
    fn a_file_is_cut_where_headers_and_keys_begin() {
        let text = "[rtsp] # first\nlisten = [ # two\n  \"[::]:8554\", # ]\n  '0.0.0.0:8554',\n]\n\nudp_ports = \"0\"\n";
        let expected = [
            (Kind::Header, "rtsp", false),
            (Kind::Assignment, "listen", false),
            (Kind::Assignment, "udp_ports", false),
        ];
        assert_eq!(cut(text), expected);
    }

    #[test]
    fn what_is_not_closed_ends_where_the_next_begins() {
        let text =
            "[rtsp]\nlisten = [\"a\",\n  \"b\"\n[[channel\nname = \"\"\"x\nsource = \"y\"\nfree text\n";
        let expected = [
            (Kind::Header, "rtsp", false),
            (Kind::Assignment, "listen", true),
            (Kind::Header, "channel", false),
            (Kind::Assignment, "name", true),
            (Kind::Assignment, "source", false),
            (Kind::Other, "", false),
        ];
        assert_eq!(cut(text), expected);
    }

    #[test]
    fn what_looks_like_a_key_is_none_in_a_list_that_is_closed_below() {
        let list = "listen = [\n  \"a\",\n  port = [3], # }\n\n]\n";
        assert_eq!(cut(list), [(Kind::Assignment, "listen", false)]);
        let expected = [
            (Kind::Assignment, "listen", true),
            (Kind::Assignment, "port", false),
            (Kind::Header, "admin", false),
            (Kind::Assignment, "listen", false),
        ];
        assert_eq!(cut("listen = [\n  \"a\",\nport = [3]\n[admin]\nlisten = 5]]"), expected);
    }

    #[test]
    fn a_file_of_lists_that_are_not_closed_is_cut_in_good_time() {
        assert_eq!(statements(&"a = [\n".repeat(200_000)).len(), 200_000);
    }

    #[test]
    fn half_a_header_is_one() {
        for header in ["[rtsp", "rtsp]", "rtsp:", "rtsp", "[[rtsp]", " [ rtsp ] x"] {
            assert_eq!(cut(header), [(Kind::Header, "rtsp", false)], "{header}");
        }
        assert_eq!(cut("[::]:8554"), [(Kind::Other, "", false)]);
    }
}

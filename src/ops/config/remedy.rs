//! What to write in place of a piece that is not TOML. The parser's words are for who knows TOML; these are for who
//! writes a config.

use super::keys::{KEYS, Section, nearest};
use super::statements::{Kind, Statement, bare_key, before_comment, begins};

/// Quotes of typography, which word processors and web pages put in place of straight ones.
const TYPOGRAPHIC: &[char] = &['“', '”', '„', '‟', '«', '»', '‘', '’', '‚', '`', '´', '′', '″'];
/// What begins a comment elsewhere.
const COMMENTS: &[&str] = &["//", "/*", "--", ";", "%", "!"];

/// How the parser begins where it finds no kind of value.
const WHOLE_VALUES: &[&str] = &[
    "string values",
    "invalid float",
    "invalid boolean",
    "invalid date",
    "invalid time",
    "invalid fraction",
];

/// A piece, and what the parser says of it.
pub(super) struct Piece<'p> {
    pub(super) statement: &'p Statement<'p>,
    /// The section that it stands in.
    pub(super) section: Option<&'static Section>,
    pub(super) message: &'p str,
    /// The line from where the parser stopped.
    pub(super) behind: &'p str,
}

/// What is wrong, and what to write.
pub(super) fn remedy(piece: &Piece<'_>) -> String {
    if let Some(hidden) = piece.behind.chars().next().filter(|c| is_invisible(*c)) {
        return format!("a character that is not seen stands here (U+{:04X}); delete it", u32::from(hidden));
    }
    match piece.statement.kind {
        Kind::Header => header(piece),
        Kind::Assignment => assignment(piece),
        Kind::Other => other(piece),
    }
}

fn is_invisible(c: char) -> bool {
    let blank = c.is_whitespace() && !c.is_ascii();
    let control = c.is_control() && !c.is_ascii_whitespace();
    blank || control || ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{feff}' || c == '\u{ad}'
}

fn header(piece: &Piece<'_>) -> String {
    let statement = piece.statement;
    let behind = statement.header_end().map(|end| statement.text[end - statement.start..].trim());
    if let Some(behind) = behind.filter(|behind| !behind.is_empty()) {
        return comment(behind).unwrap_or_else(|| {
            "a section's header stands in a line of its own; write what follows it below".to_owned()
        });
    }
    let known = nearest(statement.name, KEYS.iter().map(|section| section.name));
    let known = KEYS.iter().find(|section| Some(section.name) == known);
    match known {
        Some(section) => format!("this is no header of a section; write {}", section.header()),
        None => {
            let all: Vec<_> = KEYS.iter().map(Section::header).collect();
            format!("this is no header of a section; the sections are {}", all.join(", "))
        }
    }
}

fn other(piece: &Piece<'_>) -> String {
    let content = before_comment(piece.statement.text.lines().next().unwrap_or_default()).trim();
    if let Some(comment) = comment(content) {
        return comment;
    }
    let end = content.find(|c: char| c.is_whitespace() || c == ':' || c == '=').unwrap_or(content.len());
    let (key, value) = (bare_key(&content[..end]), content[end..].trim_start_matches([':', '=', ' ', '\t']));
    match piece.example(key) {
        Some(example) if value.is_empty() => format!("`{key}` has no value; write {key} = {example}"),
        Some(example) => {
            format!("a key and its value have a = between them; write {key} = {}", as_value(value, example))
        }
        None if end == 0 && content.starts_with('=') => "there is no key in front of the =".to_owned(),
        None => "this is neither a section's header, such as [rtsp], nor a key with its value, such as \
                 name = \"news\"; a comment begins with #"
            .to_owned(),
    }
}

fn assignment(piece: &Piece<'_>) -> String {
    let (key, typed, message) = (piece.statement.name, piece.value(), piece.message);
    if !piece.statement.has_plain_key() {
        return wrong_key(piece, key);
    }
    let example = piece.example(key).unwrap_or("\"…\"");
    let write = |value: &str| format!("write {key} = {value}");
    if typed.is_empty() {
        return format!("`{key}` has no value; {}", write(example));
    }
    if let Some(quote) = typed.chars().find(|c| TYPOGRAPHIC.contains(c)) {
        return format!("{quote} is no quote here; {}", write(&typed.replace(TYPOGRAPHIC, "\"")));
    }
    if message.starts_with("extra `=`") {
        return format!("one = is enough; {}", write(typed.trim_start_matches(['=', ' '])));
    }
    if message.contains("escape") {
        return format!("a \\ in double quotes begins a code; {}", write(&as_text(typed)));
    }
    if typed.starts_with(['(', '{']) {
        return format!("this is no value; {}", write(example));
    }
    if piece.statement.has_open_text {
        return format!("a text of several lines is not closed; {}", write(example));
    }
    if piece.statement.open {
        return "the list is not closed; write ] behind its last value".to_owned();
    }
    if let Some(key) = piece.key_in_a_list() {
        return format!("`{key}` is a key, and values alone stand between [ and ]; write it below the ]");
    }
    if message.starts_with("extra comma") {
        return "there is one comma too many in the list; leave it out".to_owned();
    }
    if message.contains("missing comma") {
        return "a comma is missing between two values of the list; write it".to_owned();
    }
    if message.contains("basic string")
        || message.contains("literal string,") && !message.contains("must be quoted")
    {
        let value = if typed.starts_with('[') { example.to_owned() } else { as_text(typed) };
        return format!("a quote is not closed; {}", write(&value));
    }
    if message.starts_with("unexpected key or value") {
        return behind_a_value(piece, key, typed);
    }
    unquoted(key, typed, example)
}

/// What follows a value that is right.
fn behind_a_value(piece: &Piece<'_>, key: &str, typed: &str) -> String {
    let behind = piece.behind.trim();
    let is_number = |example: &str| example.bytes().all(|byte| byte.is_ascii_digit());
    if piece.example(key).is_some_and(is_number) && !behind.contains('=') && comment(behind).is_none() {
        let digits = digits(typed);
        return format!("a number has digits alone; write {key} = {digits}");
    }
    if let Some(comment) = comment(behind).filter(|_| behind != ";") {
        return comment;
    }
    if behind.contains('=') {
        return "each key stands in a line of its own".to_owned();
    }
    let behind = before_comment(behind).trim();
    format!("nothing but a comment, with a #, may follow a value; leave {behind} out")
}

fn wrong_key(piece: &Piece<'_>, key: &str) -> String {
    let joined = key.split_whitespace().collect::<Vec<_>>().join("_");
    let known = piece.section.and_then(|section| nearest(&joined, section.keys.iter().map(|key| key.name)));
    let remedy =
        known.map_or("write letters, digits, - and _ only".to_owned(), |known| format!("write {known}"));
    match key.chars().find(|c| !is_key_character(*c)) {
        Some(c) if c.is_whitespace() => format!("`{key}` is no key: it has a space; {remedy}"),
        Some(c) => format!("`{key}` is no key: it has a {c}; {remedy}"),
        None => format!("`{key}` is no key; {remedy}"),
    }
}

/// A value without quotes, or with some inside.
fn unquoted(key: &str, typed: &str, example: &str) -> String {
    let write = |value: &str| format!("write {key} = {value}");
    let is_number = example.bytes().all(|byte| byte.is_ascii_digit());
    match digits(typed) {
        digits if is_number && !digits.is_empty() => format!("a number has digits alone; {}", write(&digits)),
        _ if is_number => format!("{typed} is no number; {}", write(example)),
        _ => format!("a text stands in quotes; {}", write(&as_value(typed, example))),
    }
}

/// The digits of what is a number but for what parts them.
fn digits(typed: &str) -> String {
    let is_number = typed.chars().all(|c| c.is_ascii_digit() || " ,._'".contains(c));
    let digits: String = typed.chars().filter(|c| is_number && c.is_ascii_digit()).collect();
    match digits.trim_start_matches('0') {
        "" if !digits.is_empty() => "0".to_owned(),
        significant => significant.to_owned(),
    }
}

/// What was typed, in the form that the example has.
fn as_value(typed: &str, example: &str) -> String {
    if example.starts_with('[') {
        let inside = typed.trim_start_matches('[').trim_end_matches(']');
        let values = inside.split(',').map(str::trim).filter(|value| !value.is_empty());
        let values: Vec<_> = values.map(as_text).collect();
        return if values.is_empty() { example.to_owned() } else { format!("[{}]", values.join(", ")) };
    }
    if example.bytes().all(|byte| byte.is_ascii_digit()) { example.to_owned() } else { as_text(typed) }
}

/// A text in the quotes that it needs.
fn as_text(typed: &str) -> String {
    let bare = typed.trim_matches(['"', '\'']);
    if bare.contains(['\\', '"']) { format!("'{bare}'") } else { format!("\"{bare}\"") }
}

fn comment(text: &str) -> Option<String> {
    let start = COMMENTS.iter().find(|start| text.starts_with(**start))?;
    Some(format!("a comment begins with #; write # in place of {start}"))
}

fn is_key_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

impl Piece<'_> {
    /// The place to show: the parser's, or where a value or header begins that is wrong as a whole.
    pub(super) fn shown_at(&self, offset: usize) -> usize {
        let statement = self.statement;
        let begin = |from: usize| {
            let text = &statement.text[from - statement.start..];
            from + text.len() - text.trim_start_matches(['\u{feff}', ' ', '\t']).len()
        };
        let is_whole = WHOLE_VALUES.iter().any(|start| self.message.starts_with(start));
        match (statement.kind, statement.header_end(), statement.value_start()) {
            (Kind::Header, None, _) => begin(statement.start),
            (Kind::Assignment, _, Some(value))
                if statement.open || (is_whole && !self.value().starts_with('[')) =>
            {
                begin(value)
            }
            _ => offset.min(statement.end()),
        }
    }

    /// What is meant as a key where a list's value should stand.
    fn key_in_a_list(&self) -> Option<&str> {
        let is_in_list = self.value().starts_with('[')
            && !["unexpected key or value", "inline table", "key-value"]
                .iter()
                .any(|of| self.message.contains(of));
        match begins(self.behind.trim()).filter(|_| is_in_list)? {
            (Kind::Assignment, key) => Some(key),
            _ => None,
        }
    }

    /// A value that is right for a key of this section.
    fn example(&self, key: &str) -> Option<&'static str> {
        self.section?.keys.iter().find(|known| known.name == key).map(|known| known.example)
    }

    /// What stands behind the `=`, in its first line.
    fn value(&self) -> &str {
        let statement = self.statement;
        let value = statement.value_start().map_or("", |at| &statement.text[at - statement.start..]);
        before_comment(value.lines().next().unwrap_or_default()).trim()
    }
}

impl Statement<'_> {
    /// Whether its key can be read, and is its name.
    pub(super) fn has_plain_key(&self) -> bool {
        let typed = self.text.split('=').next().unwrap_or_default();
        let typed = bare_key(typed.trim_matches([' ', '\t', '\u{feff}']));
        typed == self.name && !typed.is_empty() && typed.chars().all(is_key_character)
    }

    /// Where a header ends that is written as one, whatever follows it in its line.
    pub(super) fn header_end(&self) -> Option<usize> {
        let begin = self.text.len() - self.text.trim_start_matches('\u{feff}').trim_start().len();
        let text = &self.text[begin..];
        let brackets = text.bytes().take_while(|byte| *byte == b'[').count();
        let closing = text.find(']').filter(|_| (1..=2).contains(&brackets))?;
        let closed = text[closing..].bytes().take_while(|byte| *byte == b']').count();
        let is_one = closed == brackets && !self.name.is_empty() && text[..closing].lines().count() == 1;
        is_one.then_some(self.start + begin + closing + closed)
    }
}

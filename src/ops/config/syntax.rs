//! What is not TOML: told piece by piece and set aside, so that the rest of the file is read all the same. What
//! the parser says of a piece tells that it is wrong; how it looks, what to write.

use std::collections::HashMap;
use std::str;

use toml::de::DeTable;

use super::keys::KEYS;
use super::remedy::{Piece, remedy};
use super::report::Report;
use super::statements::{Kind, Statement, bare_key, statements};

/// How often what is left is parsed anew. A piece may hide those behind it, so each time some more come to light.
const ROUNDS: usize = 32;
/// The parser's word for a key or section that is there already.
const DUPLICATE: &str = "duplicate key";

/// Notes all that is not TOML, and returns the text without it: as long, line for line.
pub(super) fn mend(text: &str, report: &mut Report<'_>) -> String {
    if let Some((offset, wrong)) = not_a_config(text) {
        report.add_syntax(offset, wrong);
        return String::new();
    }
    let statements = statements(text);
    let set_aside = vec![false; statements.len()];
    let mut rest = Rest { bytes: text.as_bytes().to_vec(), statements, set_aside };
    for _ in 0..ROUNDS {
        if !rest.sort_out(report) {
            break;
        }
    }
    rest.note_duplicates(report);
    String::from_utf8(rest.bytes).unwrap_or_default()
}

/// A file of which no line was meant as TOML.
fn not_a_config(text: &str) -> Option<(usize, &'static str)> {
    let begin = text.len() - text.trim_start_matches('\u{feff}').trim_start().len();
    match text[begin..].chars().next()? {
        '{' => Some((begin, "this is JSON; write it as TOML, as docs/configuration.md describes it")),
        '<' => Some((begin, "this is XML; write it as TOML, as docs/configuration.md describes it")),
        _ if text.contains('\r') && !text.contains('\n') => {
            Some((0, "its lines end as those of an old Mac do (CR); save it with the line ends of Unix (LF)"))
        }
        _ => None,
    }
}

/// What is left to be read.
struct Rest<'t> {
    bytes: Vec<u8>,
    statements: Vec<Statement<'t>>,
    set_aside: Vec<bool>,
}

impl Rest<'_> {
    /// Notes what the parser does not understand, and sets it aside. Whether there was something.
    fn sort_out(&mut self, report: &mut Report<'_>) -> bool {
        let errors = self.errors(|message| message != DUPLICATE);
        let mut found = false;
        for (offset, message) in errors {
            let Some(place) = self.cause(offset, &message) else { continue };
            if !self.set_aside[place] {
                found = true;
                let piece = self.piece(place, offset, &message);
                report.add_syntax(piece.shown_at(offset), remedy(&piece));
                self.put_aside(place, report);
                // What follows is what came of it.
                if spreads(&message) {
                    break;
                }
            }
        }
        found
    }

    /// What the parser says of what is left, in the order of the file.
    fn errors(&self, wanted: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
        let text = str::from_utf8(&self.bytes).unwrap_or_default();
        let (_, errors) = DeTable::parse_recoverable(text);
        let errors = errors.iter().filter(|error| wanted(error.message()));
        let start = |span: std::ops::Range<usize>| span.start;
        let mut errors: Vec<_> =
            errors.map(|error| (error.span().map_or(0, start), error.message().to_owned())).collect();
        errors.sort();
        errors
    }

    /// The piece that an error comes of. What is not closed is noticed only where something else begins.
    fn cause(&self, offset: usize, message: &str) -> Option<usize> {
        let here = self.statements.partition_point(|statement| statement.start <= offset).checked_sub(1)?;
        let before = |is: &dyn Fn(&Statement<'_>) -> bool| {
            (0..=here).rev().find(|place| !self.set_aside[*place] && is(&self.statements[*place]))
        };
        let open = match message {
            _ if message.contains("multi-line") => before(&|statement| statement.has_open_text),
            _ if spreads(message) => before(&|statement| statement.open),
            _ => None,
        };
        Some(open.unwrap_or(here))
    }

    fn piece<'p>(&'p self, place: usize, offset: usize, message: &'p str) -> Piece<'p> {
        let statement = &self.statements[place];
        let header = statement.under.map(|header| self.statements[header].name);
        let section = KEYS.iter().find(|section| Some(section.name) == header);
        let behind = statement.text.get(offset - statement.start..).unwrap_or_default();
        let behind = behind.lines().next().unwrap_or_default();
        Piece { statement, section, message, behind }
    }

    /// A piece is not looked at again. Of an assignment the key stays, with a value that is overlooked; what stands
    /// under a header that is not clear is not looked at either.
    fn put_aside(&mut self, place: usize, report: &mut Report<'_>) {
        let statement = &self.statements[place];
        let header_ends = (statement.kind == Kind::Header).then(|| statement.header_end()).flatten();
        let value = statement.value_start().filter(|_| statement.has_plain_key());
        let from = header_ends.or(value).unwrap_or(statement.start);
        self.blank(from, self.statements[place].end());
        if value.is_some() && self.bytes.get(from) == Some(&b' ') {
            self.bytes[from] = b'0';
        } else if value.is_some() {
            self.blank(self.statements[place].start, from);
        }
        let is_lost = self.statements[place].kind == Kind::Header && header_ends.is_none();
        for other in place..self.statements.len() {
            if other != place && !(is_lost && self.statements[other].under == Some(place)) {
                break;
            }
            let (start, end) = (self.statements[other].start, self.statements[other].end());
            self.set_aside[other] = true;
            report.spoil(start..end.saturating_sub(1));
            if other != place {
                self.blank(start, end);
            }
        }
        if let Some(header) = self.statements[place].under {
            let start = self.statements[header].start;
            report.spoil(start..start);
        }
    }

    fn blank(&mut self, from: usize, to: usize) {
        for byte in &mut self.bytes[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }

    /// Notes what is there twice, with the line of the first. The parser keeps the first.
    fn note_duplicates(&self, report: &mut Report<'_>) {
        let mut firsts = HashMap::new();
        for (place, statement) in self.statements.iter().enumerate() {
            firsts.entry(self.identity(statement)).or_insert(place);
        }
        let mut told = None;
        for (offset, _) in self.errors(|message| message == DUPLICATE) {
            let Some(place) = self.cause(offset, DUPLICATE) else { continue };
            // One of a piece is enough: a line may hold thousands.
            if told.replace(place) != Some(place) {
                let first =
                    firsts.get(&self.identity(&self.statements[place])).filter(|first| **first < place);
                report.add_syntax(offset, self.duplicate(place, offset, first.copied(), report));
            }
        }
    }

    /// What is said of a piece with what is there already, maybe since its first.
    fn duplicate(&self, place: usize, offset: usize, first: Option<usize>, report: &Report<'_>) -> String {
        let statement = &self.statements[place];
        let name = statement.name;
        if statement.value_start().is_some_and(|value| value <= offset) {
            let key = statement.text.get(offset - statement.start..).unwrap_or_default();
            let key = bare_key(key.split(['=', '\n']).next().unwrap_or_default());
            return format!("`{key}` is there twice between one pair of braces; leave one out");
        }
        let line = first.map(|first| report.line(self.statements[first].start));
        let earlier = line.map_or("above".to_owned(), |line| format!("in line {line}"));
        let is_repeated = KEYS.iter().any(|section| section.repeated && section.name == name);
        match statement.kind {
            Kind::Header if is_repeated && statement.is_one_of_several() => {
                format!("`{name}` is there {earlier} in another form; write [[{name}]] for each, there too")
            }
            Kind::Header if is_repeated => {
                format!("`{name}` stands for one of several; write [[{name}]] in double brackets")
            }
            Kind::Header => format!("[{name}] is there {earlier} already; put its keys there"),
            _ => format!("`{name}` is there {earlier} already; leave one out"),
        }
    }

    /// What may be there once: a key of a section, or a section.
    fn identity<'s>(&'s self, statement: &Statement<'s>) -> (Option<usize>, &'s str, &'s str) {
        let header = statement.under.map(|header| &self.statements[header]);
        match header.filter(|_| statement.kind != Kind::Header) {
            Some(header) if header.is_one_of_several() => (statement.under, "", statement.name),
            Some(header) => (None, header.name, statement.name),
            None => (None, "", statement.name),
        }
    }
}

/// Whether an error is about what has no end, so that all behind it is misunderstood.
fn spreads(message: &str) -> bool {
    ["array elements", "in array", "unclosed array", "inline table", "key-value pairs", "multi-line"]
        .iter()
        .any(|of| message.contains(of))
        && !message.starts_with("unclosed array table")
}

//! Reads one table of the file key by key, and notes what is of the wrong type or nobody's key. Knows
//! the keys' names, not their meaning.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::keys::{Section, nearest};
use super::report::Report;

/// A table of the file, while it is being read.
pub(super) struct SectionReader<'i> {
    section: Section,
    /// Where the table's header stands in the file, for errors about what is missing from it.
    pub(super) offset: usize,
    /// How errors name this table: `[rtsp]`, or `channel "news"` for a named one.
    pub(super) place: String,
    values: DeTable<'i>,
}

impl<'i> SectionReader<'i> {
    /// A reader of `value`, or a note in the report when it is no table.
    pub(super) fn new(section: Section, value: Spanned<DeValue<'i>>, report: &mut Report) -> Option<Self> {
        let offset = value.span().start;
        let place = header(section);
        match value.into_inner() {
            DeValue::Table(values) => Some(Self { section, offset, place, values }),
            _ => {
                report.add(offset, format!("`{}` is not a table; write it as {place}", section.name));
                None
            }
        }
    }

    /// A section that is not in the file: all its keys are absent.
    pub(super) fn absent(section: Section) -> Self {
        Self { section, offset: 0, place: header(section), values: DeTable::new() }
    }

    /// The value of `key` with its place in the file. `None` if it is absent, or of a wrong type and noted.
    pub(super) fn read<T: DeserializeOwned>(&mut self, key: &str, report: &mut Report) -> Option<Spanned<T>> {
        let example = self.section.keys.iter().find(|known| known.name == key).map(|known| known.example);
        debug_assert!(example.is_some(), "{key} is missing from the table of keys");
        let value = self.values.remove(key)?;
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(Spanned::new(span, value)),
            Err(error) => {
                let offset = error.span().map_or(span.start, |inner| inner.start);
                let remedy = example.map_or(String::new(), |example| format!("; write {key} = {example}"));
                report.add(offset, format!("{} {key}: {}{remedy}", self.place, plain(error.message())));
                None
            }
        }
    }

    /// Notes every key that nobody has read.
    pub(super) fn finish(self, report: &mut Report) {
        for (key, _) in self.values.iter() {
            let typed = key.get_ref().as_ref();
            let known = self.section.keys.iter().map(|known| known.name);
            let remedy = match nearest(typed, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", known.collect::<Vec<_>>().join(", ")),
            };
            report.add(key.span().start, format!("{}: unknown key `{typed}`; {remedy}", self.place));
        }
    }
}

/// The deserialiser's message in words that need no knowledge of Rust.
fn plain(message: &str) -> String {
    message
        .replace("expected i64", "expected a whole number")
        .replace("expected a sequence", "expected a list")
}

fn header(section: Section) -> String {
    if section.repeated { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) }
}

//! Reads one table of the file key by key, and notes what is of the wrong type or nobody's key. Knows
//! the keys' names, not their meaning.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Section, nearest};
use super::report::Report;

/// A value and the bytes of the file it was typed in; `None` where the key is absent.
pub(super) type Typed<T> = Option<Spanned<T>>;

/// A whole number as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// For messages; without the `_` between its digits.
    pub(super) typed: String,
    /// What it is, if 64 bits hold it.
    pub(super) value: Option<i64>,
}

/// What a key may hold.
pub(super) trait Value: Sized {
    /// What it is called.
    const KIND: &'static str;

    /// Takes the value, or says where it is of another kind, and of which.
    fn take(value: Spanned<DeValue<'_>>) -> Result<Self, OfAnotherKind>;
}

/// A value that is not of the kind that its key holds.
pub(super) struct OfAnotherKind {
    offset: usize,
    /// What there is.
    found: String,
    /// The same value, as it would be right.
    meant: Option<String>,
}

impl Value for String {
    const KIND: &'static str = "a text in quotes";

    fn take(value: Spanned<DeValue<'_>>) -> Result<Self, OfAnotherKind> {
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::String(text) => Ok(text.into_owned()),
            other => Err(OfAnotherKind { offset, found: described(&other), meant: None }),
        }
    }
}

impl Value for Number {
    const KIND: &'static str = "a whole number without quotes";

    fn take(value: Spanned<DeValue<'_>>) -> Result<Self, OfAnotherKind> {
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::Integer(number) => Ok(Self {
                value: i64::from_str_radix(number.as_str(), number.radix()).ok(),
                typed: number.to_string(),
            }),
            other => {
                let digits = |text: &&str| text.parse::<u64>().is_ok();
                let meant = other.as_str().map(str::trim).filter(digits).map(str::to_owned);
                Err(OfAnotherKind { offset, found: described(&other), meant })
            }
        }
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn take(value: Spanned<DeValue<'_>>) -> Result<Self, OfAnotherKind> {
        let offset = value.span().start;
        match value.into_inner() {
            DeValue::Boolean(value) => Ok(value),
            other => {
                let meant = other.as_str().map(str::trim).filter(|text| text.parse::<Self>().is_ok());
                let meant = meant.map(str::to_owned);
                Err(OfAnotherKind { offset, found: described(&other), meant })
            }
        }
    }
}

impl Value for Vec<Spanned<String>> {
    const KIND: &'static str = "a list of texts in quotes";

    fn take(value: Spanned<DeValue<'_>>) -> Result<Self, OfAnotherKind> {
        let offset = value.span().start;
        let each = |value: Spanned<DeValue<'_>>| Ok(Spanned::new(value.span(), String::take(value)?));
        match value.into_inner() {
            DeValue::Array(values) => values.into_iter().map(each).collect(),
            other => {
                let meant = other.as_str().map(|text| format!("[{text:?}]"));
                Err(OfAnotherKind { offset, found: described(&other), meant })
            }
        }
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?} is a text"),
        DeValue::Integer(number) => format!("{number} is a number"),
        DeValue::Float(number) => format!("{number} is a number with a fraction"),
        DeValue::Boolean(value) => format!("{value} is a truth value"),
        DeValue::Datetime(date) => format!("{date} is a date"),
        DeValue::Array(_) => "this is a list".to_owned(),
        DeValue::Table(_) => "this is a table".to_owned(),
    }
}

/// A table of the file, while it is being read.
pub(super) struct SectionReader<'i> {
    section: Section,
    /// Where the table's header stands in the file, for errors about what is missing from it.
    pub(super) offset: usize,
    /// How errors name this table: `[rtsp]`, or `channel "news"` for a named one.
    pub(super) place: String,
    /// Errors before its first.
    noted_before: usize,
    values: DeTable<'i>,
}

impl<'i> SectionReader<'i> {
    /// A reader of `value`, or a note in the report when it is no table.
    pub(super) fn new(
        section: Section,
        value: Spanned<DeValue<'i>>,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let offset = value.span().start;
        let place = section.header();
        let noted_before = report.noted();
        match value.into_inner() {
            DeValue::Table(values) => Some(Self { section, offset, place, noted_before, values }),
            _ => {
                report.add(offset, format!("`{}` is not a table; write it as {place}", section.name));
                None
            }
        }
    }

    /// A section that is not in the file: all its keys are absent.
    pub(super) fn absent(section: Section, report: &Report<'_>) -> Self {
        let (place, noted_before) = (section.header(), report.noted());
        Self { section, offset: 0, place, noted_before, values: DeTable::new() }
    }

    /// The value of `key` with its place in the file. `None` if it is absent, or of a wrong type and noted.
    pub(super) fn read<T: Value>(&mut self, key: &str, report: &mut Report<'_>) -> Option<Spanned<T>> {
        let example = self.section.keys.iter().find(|known| known.name == key).map(|known| known.example);
        debug_assert!(example.is_some(), "{key} is missing from the table of keys");
        let value = self.values.remove(key)?;
        let span = value.span();
        match T::take(value) {
            Ok(value) => Some(Spanned::new(span, value)),
            Err(OfAnotherKind { offset, found, meant }) => {
                let write = meant.as_deref().or(example).unwrap_or_default();
                let wrong = format!("{found}, and {} is meant; write {key} = {write}", T::KIND);
                report.add(offset, format!("{} {key}: {wrong}", self.place));
                None
            }
        }
    }

    /// Notes every key that nobody has read. Returns whether something was wrong with the section, or set aside.
    pub(super) fn finish(self, report: &mut Report<'_>) -> bool {
        for (key, _) in self.values.iter() {
            let typed = key.get_ref().as_ref();
            let known = self.section.keys.iter().map(|known| known.name);
            let remedy = match nearest(typed, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", known.collect::<Vec<_>>().join(", ")),
            };
            let wrong = format!("{}: unknown key `{}`; {remedy}", self.place, typed.escape_debug());
            report.add_anyway(key.span().start, wrong);
        }
        report.noted() > self.noted_before || report.is_spoilt(self.offset)
    }
}

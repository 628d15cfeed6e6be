//! What was typed in a `[[library]]`.

use toml::Spanned;

use super::report::Report;
use super::section::{SectionReader, Typed};

pub(super) struct TypedLibrary {
    /// How errors name it: `library "films"`, or `[[library]]` while it has no name.
    pub(super) place: String,
    /// Where its header is.
    pub(super) offset: usize,
    pub(super) spoiled: bool,
    pub(super) name: Typed<String>,
    pub(super) directory: Typed<String>,
    pub(super) users: Typed<Vec<Spanned<String>>>,
    pub(super) public: Typed<bool>,
    pub(super) allow: Typed<Vec<Spanned<String>>>,
    pub(super) deny: Typed<Vec<Spanned<String>>>,
}

impl TypedLibrary {
    pub(super) fn read(mut from: SectionReader<'_>, report: &mut Report<'_>) -> Self {
        let name: Typed<String> = from.read("name", report);
        if let Some(name) = &name {
            from.place = format!("library {:?}", name.get_ref());
        }
        let mut typed = Self {
            place: from.place.clone(),
            offset: from.offset,
            spoiled: false,
            name,
            directory: from.read("directory", report),
            users: from.read("users", report),
            public: from.read("public", report),
            allow: from.read("allow", report),
            deny: from.read("deny", report),
        };
        typed.spoiled = from.finish(report);
        typed
    }
}

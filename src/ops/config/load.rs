//! From a file to a [`Config`]. Nothing else of the disk is touched but the files that it names: session descriptions, the
//! certificate and its key, the file of users.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::encoding::{Decoded, decode};
use super::files::read_bytes;
use super::kept;
use super::report::{Annex, ConfigError, Report};
use super::resolve::resolve;
use super::syntax::mend;
use super::truth::Config;
use super::typed::TypedConfig;
use super::unreadable::why;

/// More than ten thousand channels fit; what is larger was not meant as a config.
const CONFIG_BYTES: u64 = 4 << 20;

/// Characters of a revision.
const REVISION: usize = 12;

/// What tells one text from another.
fn revision(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..REVISION].to_owned()
}

impl Config {
    /// Reads and checks the config in `file`. Paths in it are relative to the directory it is in.
    ///
    /// # Errors
    /// That the file cannot be read, or every error in it. What is not TOML is left out, and the rest looked at.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_keeping(file, None)
    }

    /// The same, as it would be if `kept` were what its `channels_file` has.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(file: &Path, kept: &str) -> Result<Self, ConfigError> {
        Self::load_keeping(file, Some(kept))
    }

    fn load_keeping(file: &Path, instead: Option<&str>) -> Result<Self, ConfigError> {
        let content = read_bytes(file, CONFIG_BYTES).map_err(|error| {
            let is_absent = error.kind() == io::ErrorKind::NotFound;
            let remedy = if is_absent { "; name a config with --config FILE" } else { "" };
            let reason = format!("can not be read: {}{remedy}", why(file, &error));
            ConfigError::Unreadable { file: file.to_owned(), reason }
        })?;
        let mut decoded = decode(content);
        let (channels_file, annex) = kept::append(&mut decoded.text, file, instead)?;
        Ok(Self { file: Some(file.to_owned()), channels_file, ..Self::read(&decoded, annex, file)? })
    }

    /// Checks `text` as the content of `file`, which names it in errors and says where paths begin.
    ///
    /// # Errors
    /// Every error in the text, as [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        Self::read(&Decoded { text: text.to_owned(), problems: Vec::new() }, None, file)
    }

    fn read(
        Decoded { text, problems }: &Decoded,
        annex: Option<Annex>,
        file: &Path,
    ) -> Result<Self, ConfigError> {
        let mut report = Report::with_annex(text, annex);
        for (offset, problem) in problems {
            report.add_syntax(*offset, problem.as_str());
        }
        let rest = mend(text, &mut report);
        let (document, _) = DeTable::parse_recoverable(&rest);
        let typed = TypedConfig::read(document.into_inner(), &mut report);
        let directory = file.parent().unwrap_or(Path::new(""));
        let config = resolve(typed, directory, &mut report);
        if report.is_empty() {
            Ok(Self { warnings: report.into_warnings(), revision: revision(text), ..config })
        } else {
            Err(report.into_error(file))
        }
    }
}

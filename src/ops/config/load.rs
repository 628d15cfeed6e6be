//! From a file to a [`Config`]. The only part of the config that touches the disk, along with the
//! session descriptions that channels name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use super::report::{ConfigError, Report};
use super::resolve::resolve;
use super::truth::Config;
use super::typed::TypedConfig;

/// More than ten thousand channels fit; what is larger was not meant as a config.
const CONFIG_BYTES: u64 = 4 << 20;

impl Config {
    /// Reads and checks the config in `file`. Paths in it are relative to the directory it is in.
    ///
    /// # Errors
    /// That the file cannot be read, or every error in it. Errors of syntax are reported alone, as what
    /// is behind them is a guess.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: io::Error| ConfigError::Unreadable {
            file: file.to_owned(),
            reason: format!("cannot be read: {error}; name a config with --config FILE"),
        };
        let content = read_bytes(file, CONFIG_BYTES).map_err(unreadable)?;
        let not_text = |_| unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"));
        let text = String::from_utf8(content).map_err(not_text)?;
        Self::parse(&text, file)
    }

    /// Checks `text` as the content of `file`, which names it in errors and says where paths begin.
    ///
    /// # Errors
    /// Every error in the text, as [`Config::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut report = Report::new(text);
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in syntax_errors {
            let offset = error.span().map_or(0, |span| span.start);
            report.add(offset, format!("not TOML: {}", error.message()));
        }
        if !report.is_empty() {
            return Err(report.into_error(file));
        }
        let typed = TypedConfig::read(document.into_inner(), &mut report);
        let directory = file.parent().unwrap_or(Path::new(""));
        let config = resolve(typed, directory, &mut report);
        if report.is_empty() { Ok(config) } else { Err(report.into_error(file)) }
    }
}

/// What is in `file`, which may have at most `limit_bytes`.
pub(super) fn read_bytes(file: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(file)?.take(limit_bytes + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit_bytes {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has over {limit_bytes} bytes")));
    }
    Ok(content)
}

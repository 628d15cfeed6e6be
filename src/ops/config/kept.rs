//! Channels that are kept in a file of their own, for programs that add and remove them: `[admin] channels_file`.

use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::encoding::decode;
use super::files::read_file;
use super::report::{Annex, ConfigError};
use super::unreadable::why;

const SECTION: &str = "admin";
const KEY: &str = "channels_file";
/// As much as the config itself may have.
const FILE_BYTES: u64 = 4 << 20;

/// What a config names for it, and where.
fn named(text: &str) -> Option<(String, usize)> {
    let (document, _) = DeTable::parse_recoverable(text);
    let admin = document.get_ref().get(SECTION).map(Spanned::get_ref)?.as_table()?;
    let value = admin.get(KEY)?;
    match value.get_ref() {
        DeValue::String(file) => Some((file.to_string(), value.span().start)),
        _ => None,
    }
}

/// Puts what is kept behind a config's own text; returns the file that the config names for it, and what of the text is that one's. `instead`: what
/// is to be kept, in place of what is.
///
/// # Errors
/// What is kept can not be read.
pub(super) fn append(
    text: &mut String,
    config: &Path,
    instead: Option<&str>,
) -> Result<(Option<PathBuf>, Option<Annex>), ConfigError> {
    let directory = config.parent().unwrap_or(Path::new(""));
    let Some((name, named_at)) = named(text) else { return Ok((None, None)) };
    let file = directory.join(name);
    let kept = match instead {
        Some(text) => text.to_owned(),
        None => match read_file(&file, FILE_BYTES) {
            Ok(bytes) => decode(bytes).text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Some(file), None)),
            Err(error) => {
                let reason = format!("can not be read: {}", why(&file, &error));
                return Err(ConfigError::Unreadable { file, reason });
            }
        },
    };
    text.push('\n');
    let from = text.len();
    text.push_str(&kept);
    Ok((Some(file.clone()), Some(Annex { from, named_at, file })))
}
